//! Splits texts into words for search, the same way for every engine.
//!
//! A word with inner punctuation (`USB-C`, `O'Neill`, `AB-1234/5`) is indexed as its parts and joined
//! (`usbc`). Scripts that do not separate words are indexed as bigrams (`東京`, `京タ`). The last character of
//! such a run is indexed alone, so that every character starts an indexed term.

use std::collections::BTreeSet;

use icu_properties::{
    CodePointMapData, CodePointMapDataBorrowed,
    props::{LineBreak, Script},
};

use crate::domain::catalog::normalize::{is_letter, normalize};

/// Longer words are truncated, in characters.
const MAX_WORD_LEN: usize = 64;

const SCRIPTS: CodePointMapDataBorrowed<'static, Script> = CodePointMapData::<Script>::new();

const LINE_BREAKS: CodePointMapDataBorrowed<'static, LineBreak> =
    CodePointMapData::<LineBreak>::new();

/// Returns the distinct words of a text, in the order of their first occurrence.
pub(super) fn tokenize(text: &str) -> Vec<String> {
    let mut all = Distinct::default();
    for parts in compounds(&normalize_for_search(text)) {
        for part in &parts {
            all.extend(terms(part, true));
        }
        if parts.len() > 1 {
            all.extend(terms(&parts.concat(), true));
        }
    }
    all.words
}

/// Returns the clauses of a search text. A product matches if, for every clause, one of its words starts with
/// one of the clause's prefixes. The first prefix of a clause is the word as typed.
pub(super) fn query_clauses(text: &str) -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = Vec::new();
    let mut add = |clause: Vec<String>| {
        if !all.contains(&clause) {
            all.push(clause);
        }
    };
    for parts in compounds(&normalize_for_search(text)) {
        let split: Vec<String> = parts.iter().flat_map(|part| terms(part, false)).collect();
        let joined = match parts.len() {
            1 => Vec::new(),
            _ => terms(&parts.concat(), false),
        };
        // (a AND b) OR ab is (a OR ab) AND (b OR ab). Terms in both alternatives are required anyway.
        let only_joined: Vec<&String> = joined.iter().filter(|it| !split.contains(it)).collect();
        for word in &split {
            if parts.len() == 1 || joined.contains(word) {
                add(vec![word.clone()]);
                continue;
            }
            for other in &only_joined {
                // The joined word starts with its first part, so that adding it would be redundant.
                let longer = (!other.starts_with(word)).then(|| (*other).clone());
                add([word.clone()].into_iter().chain(longer).collect());
            }
        }
    }
    all
}

/// Returns whether a term is a whole word, which may be misspelt, rather than a bigram.
pub(super) fn can_be_misspelt(word: &str) -> bool {
    !word.starts_with(is_unspaced)
}

/// Normalizes a text. A stand-alone acute accent is treated as an apostrophe; otherwise it would become a
/// space.
fn normalize_for_search(text: &str) -> String {
    if text.contains('\u{b4}') {
        normalize(&text.replace('\u{b4}', "'"))
    } else {
        normalize(text)
    }
}

/// Splits a normalized text into words, and words into parts where a single punctuation character joins them.
fn compounds(text: &str) -> Vec<Vec<&str>> {
    let mut all: Vec<Vec<&str>> = Vec::new();
    let (mut word_start, mut is_joined) = (None, false);
    let end = (text.len(), ' ');
    for (at, c) in text.char_indices().chain([end]) {
        let joins = joins(c);
        if is_letter(c) && !joins {
            word_start = word_start.or(Some(at));
        } else if let Some(start) = word_start.take() {
            let part = &text[start..at];
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

/// Punctuation that is often omitted inside a word, such as hyphens, apostrophes and dots. An em dash is
/// excluded: it separates clauses.
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

/// Returns the terms that a part of a word is indexed or searched as: itself, or its bigrams.
fn terms(part: &str, for_index: bool) -> Vec<String> {
    let letters: Vec<char> = part.chars().collect();
    let mut all = Vec::new();
    for run in letters.chunk_by(|one, other| is_unspaced(*one) == is_unspaced(*other)) {
        if !is_unspaced(run[0]) {
            all.push(run.iter().take(MAX_WORD_LEN).collect());
            continue;
        }
        all.extend(run.windows(2).map(|two| two.iter().collect()));
        if for_index || run.len() == 1 {
            all.extend(run.last().map(char::to_string));
        }
    }
    all
}

/// Returns whether a character belongs to a script that does not separate words, or does so inconsistently,
/// like Korean.
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

/// Distinct words in insertion order.
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
