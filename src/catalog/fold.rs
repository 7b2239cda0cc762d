//! Texts as they are compared and as they stand in paths: without case and accents.
//!
//! Folding happens here and is stored, so that every database sorts alike.

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// `text` without case, accents and surplus space.
pub fn fold(text: &str) -> String {
    let plain: String = text
        .nfkd()
        .filter(|c| !is_combining_mark(*c))
        .flat_map(char::to_lowercase)
        .collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `text` as a part of a path: folded letters and digits, joined by hyphens.
pub(super) fn slug(text: &str) -> String {
    let folded = fold(text);
    let words = folded
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty());
    let slug = words.collect::<Vec<_>>().join("-");
    if slug.is_empty() {
        "item".to_owned()
    } else {
        slug
    }
}
