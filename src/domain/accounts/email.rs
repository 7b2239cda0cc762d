//! Email addresses, normalized so that different spellings of an address belong to one account.

use serde::Deserialize;
use unicode_normalization::UnicodeNormalization;
use utoipa::openapi::{ObjectBuilder, RefOr, Schema, SchemaFormat, Type};

/// An email address. Addresses that differ in case, Unicode normalization form, full-width letters or the
/// spelling of an internationalized domain (UTS 46) have the same [`key`](Email::key).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Email {
    as_entered: String,
    key: String,
}

/// Maximum length of an address in bytes (RFC 5321, section 4.5.3.1.3).
const MAX_LEN: usize = 254;

/// Maximum length of a local part in bytes (RFC 5321, section 4.5.3.1.1).
const MAX_LOCAL_PART_LEN: usize = 64;

impl TryFrom<String> for Email {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Email::parse(&text)
    }
}

impl Email {
    pub fn parse(text: &str) -> Result<Email, String> {
        let invalid = || "must be an email address, e.g. `ada@example.com`".to_owned();
        let as_entered: String = text.trim().nfkc().collect();
        let (local, domain) = as_entered.rsplit_once('@').ok_or_else(invalid)?;
        let is_allowed = |c: char| {
            !c.is_control()
                && !c.is_whitespace()
                && !is_invisible(c)
                && !"<>()[]\\,;:\"@".contains(c)
        };
        let is_local_valid = !local.is_empty()
            && local.len() <= MAX_LOCAL_PART_LEN
            && local.chars().all(is_allowed)
            && !local.starts_with('.')
            && !local.ends_with('.')
            && !local.contains("..");
        let domain = idna::domain_to_ascii_strict(domain).map_err(|_| invalid())?;
        let labels: Vec<&str> = domain.split('.').collect();
        let is_domain_valid = labels.len() >= 2 && labels.iter().all(|label| !label.is_empty());
        if !is_local_valid || !is_domain_valid || as_entered.len() > MAX_LEN {
            return Err(invalid());
        }
        let local = fold_case(local);
        let key = format!("{local}@{}", domain.to_ascii_lowercase());
        Ok(Email { as_entered, key })
    }

    /// Returns the address as it was entered.
    pub fn as_str(&self) -> &str {
        &self.as_entered
    }

    /// Returns the normalized form, by which addresses are compared.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Returns the normalized part before the `@`.
    pub fn local_part(&self) -> &str {
        self.key.rsplit_once('@').map_or("", |(local, _)| local)
    }
}

/// Folds the case of a text for comparison, regardless of context: a final sigma equals any other sigma.
pub(super) fn fold_case(text: &str) -> String {
    let lowercase = text.chars().flat_map(char::to_lowercase);
    lowercase
        .map(|c| if c == 'ς' { 'σ' } else { c })
        .nfkc()
        .collect()
}

/// Whether a character is invisible or changes the text direction, so that one address could look like
/// another.
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
