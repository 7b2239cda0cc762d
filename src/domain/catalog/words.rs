//! Words, as search compares them: folded, split and kept in the same way on every engine, which only
//! finds them again.
//!
//! A word with inner punctuation (`USB-C`, `O'Neill`, `AB-1234/5`) is kept in its parts and joined
//! (`usbc`). A script that separates words by nothing is kept as bigrams (`東京`, `京タ`), and the last
//! character of a run by itself, so that each character begins something.

use std::collections::BTreeSet;

use icu_properties::{
    CodePointMapData, CodePointMapDataBorrowed,
    props::{LineBreak, Script},
};

use super::fold::{fold, is_letter};

/// What of a word is compared, in characters.
const LONGEST_WORD: usize = 64;

const SCRIPTS: CodePointMapDataBorrowed<'static, Script> = CodePointMapData::<Script>::new();

const LINE_BREAKS: CodePointMapDataBorrowed<'static, LineBreak> =
    CodePointMapData::<LineBreak>::new();

/// The distinct words of a text, in their order.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut all = Distinct::default();
    for parts in compounds(&folded(text)) {
        for part in &parts {
            all.extend(tokens(part, true));
        }
        if parts.len() > 1 {
            all.extend(tokens(&parts.concat(), true));
        }
    }
    all.words
}

/// What a text asks for: a product fits if, for every group, one of its words begins with one of the
/// group's. The first of a group is the word as it was typed.
pub(super) fn groups(text: &str) -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = Vec::new();
    let mut add = |group: Vec<String>| {
        if !all.contains(&group) {
            all.push(group);
        }
    };
    for parts in compounds(&folded(text)) {
        let split: Vec<String> = parts.iter().flat_map(|part| tokens(part, false)).collect();
        let joined = match parts.len() {
            1 => Vec::new(),
            _ => tokens(&parts.concat(), false),
        };
        // (a AND b) OR ab is (a OR ab) AND (b OR ab); what is in both is asked for in any case.
        let only_joined: Vec<&String> = joined.iter().filter(|it| !split.contains(it)).collect();
        for word in &split {
            if parts.len() == 1 || joined.contains(word) {
                add(vec![word.clone()]);
                continue;
            }
            for other in &only_joined {
                // What begins with the whole begins with its first part.
                let longer = (!other.starts_with(word)).then(|| (*other).clone());
                add([word.clone()].into_iter().chain(longer).collect());
            }
        }
    }
    all
}

/// Whether a word may be misspelt: a bigram is a part of one.
pub(super) fn is_spelt(word: &str) -> bool {
    !word.starts_with(is_unspaced)
}

/// Folds a text. An acute accent by itself is typed for an apostrophe, and would leave a space.
fn folded(text: &str) -> String {
    if text.contains('\u{b4}') {
        fold(&text.replace('\u{b4}', "'"))
    } else {
        fold(text)
    }
}

/// The words of a folded text in their parts: one part, unless one sign of punctuation joins it to the
/// next.
fn compounds(folded: &str) -> Vec<Vec<&str>> {
    let mut all: Vec<Vec<&str>> = Vec::new();
    let (mut begins, mut is_joined) = (None, false);
    let end = (folded.len(), ' ');
    for (at, c) in folded.char_indices().chain([end]) {
        let joins = joins(c);
        if is_letter(c) && !joins {
            begins = begins.or(Some(at));
        } else if let Some(start) = begins.take() {
            let part = &folded[start..at];
            match all.last_mut() {
                Some(parts) if is_joined => parts.push(part),
                _ => all.push(vec![part]),
            }
            is_joined = joins;
        } else {
            is_joined = false;
        }
    }
    all
}

/// Punctuation that people leave out inside a word: hyphens, apostrophes, dots and the like. An em dash
/// joins sentences.
fn joins(c: char) -> bool {
    matches!(
        c,
        '-' | '\''
            | '.'
            | '/'
            | '_'
            | '&'
            | '`'
            | '\u{b7}'
            | '\u{2bb}'
            | '\u{2bc}'
            | '\u{5f3}'
            | '\u{5f4}'
            | '\u{2010}'
            ..='\u{2013}' | '\u{2018}' | '\u{2019}' | '\u{2027}' | '\u{2212}' | '\u{30fb}'
    )
}

/// The words that a part of one is kept as, or asked for by: itself, or its bigrams.
fn tokens(part: &str, is_kept: bool) -> Vec<String> {
    let letters: Vec<char> = part.chars().collect();
    let mut all = Vec::new();
    for run in letters.chunk_by(|one, other| is_unspaced(*one) == is_unspaced(*other)) {
        if !is_unspaced(run[0]) {
            all.push(run.iter().take(LONGEST_WORD).collect());
            continue;
        }
        all.extend(run.windows(2).map(|two| two.iter().collect()));
        if is_kept || run.len() == 1 {
            all.extend(run.last().map(char::to_string));
        }
    }
    all
}

/// Whether a character is of a script that separates words by nothing, or, as Korean, less often than
/// others.
fn is_unspaced(c: char) -> bool {
    if c.is_ascii() {
        return false;
    }
    matches!(
        SCRIPTS.get(c),
        Script::Han
            | Script::Hiragana
            | Script::Katakana
            | Script::Hangul
            | Script::Bopomofo
            | Script::Yi
    ) || c == 'ー'
        || LINE_BREAKS.get(c) == LineBreak::ComplexContext
}

/// Words without repetition, in their order.
#[derive(Default)]
struct Distinct {
    words: Vec<String>,
    seen: BTreeSet<String>,
}

impl Distinct {
    fn extend(&mut self, words: Vec<String>) {
        let fresh = words
            .into_iter()
            .filter(|word| self.seen.insert(word.clone()));
        self.words.extend(fresh);
    }
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
