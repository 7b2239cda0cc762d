//! Validation and normalization of short texts such as names, with the matching JSON Schema.
//!
//! Two different names must not look the same, so invisible characters are handled in three ways:
//!
//! - Removed: characters without meaning of their own (zero-width spaces, soft hyphens, direction marks,
//!   fillers, tags), and surrounding white space.
//! - Kept: characters that shape the preceding one (variation selectors; joiners after an emoji or a letter
//!   of a script that uses them).
//! - Rejected: line separators and bidirectional control characters.
//!
//! [`escape`] makes any text harmless for a terminal and for a log of lines.

use std::borrow::Cow;

use icu_properties::{
    CodePointMapData, CodePointSetData, CodePointSetDataBorrowed,
    props::{DefaultIgnorableCodePoint, Script},
};

/// The maximum length of a short text, in characters.
pub const MAX_LEN: usize = 200;

/// The rule of [`short`] as a regular expression (ECMA-262): no rejected and at least one visible character.
pub const PATTERN: &str = concat!(
    r"^[^\u0000-\u001F\u007F-\u009F\u2028-\u202E\u2066-\u2069]*",
    r"[^\s\u0000-\u001F\u007F-\u009F\u00AD\u034F\u061C\u115F\u1160\u17B4\u17B5\u180B-\u180F",
    r"\u200B-\u200F\u2028-\u202E\u2060-\u206F\u2800\u3164\uFE00-\uFE0F\uFEFF\uFFA0\uFFF0-\uFFF8",
    "\u{1bca0}-\u{1bca3}\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]",
    r"[^\u0000-\u001F\u007F-\u009F\u2028-\u202E\u2066-\u2069]*$"
);

const INVISIBLE: CodePointSetDataBorrowed<'static> =
    CodePointSetData::new::<DefaultIgnorableCodePoint>();

/// Returns the text without surrounding white space and removable invisible characters.
///
/// Errors: the text has no visible character, is longer than [`MAX_LEN`], or contains a rejected character.
pub fn short(text: &str) -> Result<String, String> {
    up_to(text, MAX_LEN)
}

/// Like [`short`], with another maximum length in characters.
pub fn up_to(text: &str, max_len: usize) -> Result<String, String> {
    let mut kept = String::with_capacity(text.len());
    for c in text.chars() {
        if !INVISIBLE.contains(c) || shapes(c, kept.chars().next_back()) {
            kept.push(c);
        }
    }
    let kept = kept.trim();
    let is_blank = |c: char| c.is_whitespace() || c == '\u{2800}' || INVISIBLE.contains(c);
    if text.trim().is_empty()
        || text.chars().count() > max_len
        || text.chars().any(char::is_control)
    {
        return Err(format!(
            "must be 1 to {max_len} characters without control characters"
        ));
    }
    if text.chars().any(is_rejected) {
        let rejected = "line separators or characters that change the direction of text";
        return Err(format!("must not contain {rejected}"));
    }
    if kept.chars().all(is_blank) {
        return Err("must have a visible character".to_owned());
    }
    Ok(kept.to_owned())
}

/// Returns whether `c` is a line or paragraph separator or a bidirectional control character (UAX 9).
fn is_rejected(c: char) -> bool {
    matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns whether the invisible character `c` shapes the character before it.
fn shapes(c: char, before: Option<char>) -> bool {
    let Some(before) = before.filter(|before| !before.is_whitespace()) else {
        return false;
    };
    match c {
        // Variation selectors, and the combining grapheme joiner.
        '\u{34f}'
        | '\u{180b}'..='\u{180d}'
        | '\u{180f}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{e0100}'..='\u{e01ef}' => true,
        // Zero-width joiners, used in Persian, Indic scripts and emoji.
        '\u{200c}' | '\u{200d}' => {
            let script = CodePointMapData::<Script>::new().get(before);
            !before.is_ascii()
                && !matches!(script, Script::Latin | Script::Greek | Script::Cyrillic)
        }
        _ => false,
    }
}

/// Escapes the characters that control a terminal or the direction of text. Texts of customers and of other
/// servers must not move the cursor, hide a line or forge one.
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(is_control) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_control(c) {
            escaped.extend(c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

/// Returns whether `c` controls a terminal or the direction of text, or separates lines. Other format characters are
/// harmless: some scripts need them to join letters.
fn is_control(c: char) -> bool {
    const DIRECTIONS: [char; 12] = [
        '\u{61c}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}',
        '\u{202e}', '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}',
    ];
    const LINE_ENDS: [char; 2] = ['\u{2028}', '\u{2029}'];
    c.is_control() || DIRECTIONS.contains(&c) || LINE_ENDS.contains(&c)
}

/// Defines newtypes of a text that [`short`] has validated.
macro_rules! short_texts {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, serde::Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                $crate::core::text::short(&text).map($name)
            }
        }

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::Type::String)
                    .min_length(Some(1))
                    .max_length(Some($crate::core::text::MAX_LEN))
                    .pattern(Some($crate::core::text::PATTERN))
                    .into()
            }
        }

        impl utoipa::ToSchema for $name {}
    )+};
}

pub(crate) use short_texts;
