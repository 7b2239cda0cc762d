//! Mail addresses: kept as typed, compared in one spelling, so that one address is one account.

use serde::Deserialize;
use unicode_normalization::UnicodeNormalization;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, SchemaFormat, Type};

/// A mail address. Case, Unicode form, full-width letters and the spelling of international
/// domains (UTS 46) make no difference.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Email {
    typed: String,
    key: String,
}

/// How long an address may be, in bytes (RFC 5321, section 4.5.3.1.3).
const MAX_LEN: usize = 254;

impl TryFrom<String> for Email {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Email::parse(&text)
    }
}

impl Email {
    pub fn parse(text: &str) -> Result<Email, String> {
        let wrong = || "must be a mail address, as `ada@example.com`".to_owned();
        let typed: String = text.trim().nfkc().collect();
        let (local, domain) = typed.rsplit_once('@').ok_or_else(wrong)?;
        let fit = |c: char| {
            !c.is_control()
                && !c.is_whitespace()
                && !is_invisible(c)
                && !"<>()[]\\,;:\"@".contains(c)
        };
        let local_is_fit = !local.is_empty()
            && local.len() <= 64
            && local.chars().all(fit)
            && !local.starts_with('.')
            && !local.ends_with('.')
            && !local.contains("..");
        let domain = idna::domain_to_ascii_strict(domain).map_err(|_| wrong())?;
        let labels: Vec<&str> = domain.split('.').collect();
        let domain_is_fit = labels.len() >= 2 && labels.iter().all(|label| !label.is_empty());
        if !local_is_fit || !domain_is_fit || typed.len() > MAX_LEN {
            return Err(wrong());
        }
        let local = fold(local);
        let key = format!("{local}@{}", domain.to_ascii_lowercase());
        Ok(Email { typed, key })
    }

    /// As typed.
    pub fn as_str(&self) -> &str {
        &self.typed
    }

    /// The one spelling.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What stands before the `@`, in the one spelling.
    pub fn local_part(&self) -> &str {
        self.key.rsplit_once('@').map_or("", |(local, _)| local)
    }
}

/// Folds text as local parts are compared: letter by letter, the last sigma of a word like any other.
pub(super) fn fold(text: &str) -> String {
    let small = text.chars().flat_map(char::to_lowercase);
    small
        .map(|c| if c == 'ς' { 'σ' } else { c })
        .nfkc()
        .collect()
}

/// Letters that nobody sees, and that turn the others round: with them one address looks like another.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
}

impl utoipa::PartialSchema for Email {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::Custom("idn-email".to_owned())))
            .max_length(Some(MAX_LEN))
            .into()
    }
}

impl utoipa::ToSchema for Email {}
