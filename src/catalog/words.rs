//! Words, as search compares them: folded, split and kept in the same way on every engine, which only
//! finds them again.

use std::collections::BTreeSet;

use unicode_normalization::char::is_combining_mark;

use super::fold::fold;

/// What of a word is compared, in characters.
const LONGEST_WORD: usize = 64;

/// The distinct words of a text, in their order.
pub(super) fn words(text: &str) -> Vec<String> {
    let folded = fold(text);
    let mut seen = BTreeSet::new();
    folded
        .split(|c: char| !(c.is_alphanumeric() || is_combining_mark(c)))
        .filter(|word| !word.is_empty())
        .map(|word| word.chars().take(LONGEST_WORD).collect::<String>())
        .filter(|word| seen.insert(word.clone()))
        .collect()
}

/// The trigrams of a word, two spaces put before it and one behind, so that its beginning counts most.
pub(super) fn trigrams(word: &str) -> BTreeSet<String> {
    let padded: Vec<char> = format!("  {word} ").chars().collect();
    padded
        .windows(3)
        .map(|three| three.iter().collect())
        .collect()
}

/// How much two words have in common, from 0 to 1000: the trigrams in both among those in either.
pub(super) fn similarity(one: &str, other: &str) -> usize {
    let (one, other) = (trigrams(one), trigrams(other));
    let both = one.intersection(&other).count();
    let either = one.len() + other.len() - both;
    both * 1000 / either.max(1)
}
