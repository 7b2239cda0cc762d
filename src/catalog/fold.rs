//! Texts as they are compared and as they stand in paths: without case and accents.
//!
//! Folding happens here and is stored, so that every database sorts alike.

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// `text` without case, accents and surplus space.
pub fn fold(text: &str) -> String {
    let plain: String = text
        .nfkd()
        .filter(|c| !is_accent(*c))
        .flat_map(char::to_lowercase)
        .nfc()
        .collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The marks that Latin, Greek and Cyrillic letters carry. Those of other scripts are letters of
/// their own: without its vowel signs a Hindi word is another word.
fn is_accent(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

/// `text` as a part of a path: folded letters and digits, joined by hyphens.
pub(super) fn slug(text: &str) -> String {
    let folded = fold(text);
    let words = folded
        .split(|c: char| !(c.is_alphanumeric() || is_combining_mark(c)))
        .filter(|word| !word.is_empty());
    let slug = words.collect::<Vec<_>>().join("-");
    if slug.is_empty() {
        "item".to_owned()
    } else {
        slug
    }
}
