//! Spelling correction: finds the known words that are most similar to a misspelt one, by trigrams.

use std::cmp::Ordering;

use super::{engine::search_index, query::SearchQuery, tokenize::can_be_misspelt};
use crate::{
    core::error::Result,
    infra::db::{Prefetched, Tx, Value, params, placeholders},
};

/// How many similar words replace a misspelt one.
const MAX_SIMILAR_WORDS: usize = 5;

/// How many words with common trigrams are compared.
const MAX_CANDIDATES: i64 = 200;

/// The minimum similarity, in thousandths.
const MIN_SIMILARITY: usize = 300;

/// Matches are counted up to this number to find the rarest clause.
const MAX_COUNTED: i64 = 1000;

/// Returns a search that also finds similar spellings, or `None` if it would find nothing more than `search`.
/// Each word is replaced by itself or similar words. If no product matches all clauses, only the rarest clause is
/// used. `finds_any` is whether any product matches `search`, if that is known.
pub(super) fn with_similar_spellings(
    tx: &mut Tx<'_>,
    search: &SearchQuery,
    finds_any: Option<bool>,
) -> Result<Option<SearchQuery>> {
    let index = search_index(tx);
    let mut clauses = similar_words(tx, &search.clauses)?;
    for (words, clause) in clauses.iter_mut().zip(&search.clauses) {
        let is_known = match finds_any {
            Some(true) => true,
            Some(false) if search.clauses.len() == 1 => false,
            _ => index.count(tx, std::slice::from_ref(clause), 1)? > 0,
        };
        if is_known {
            words.extend_from_slice(clause);
        }
    }
    // A clause without similar words is ignored, unless all are.
    clauses.retain(|clause| !clause.is_empty());
    if clauses.is_empty() {
        return Ok(None);
    }
    // The clauses have only gained words, so every product that matches `search` matches all of them.
    if clauses.len() == 1 || finds_any == Some(true) || index.count(tx, &clauses, 1)? > 0 {
        let finds_more = clauses != search.clauses;
        return Ok(finds_more.then(|| corrected(clauses)));
    }
    let mut counted = Vec::new();
    for clause in clauses {
        let count = index.count(tx, std::slice::from_ref(&clause), MAX_COUNTED)?;
        counted.push((count, clause));
    }
    let rarest = counted.into_iter().min_by_key(|(count, _)| *count);
    Ok(rarest.map(|(_, clause)| corrected(vec![clause])))
}

/// Returns a search for these clauses; the most similar word of each forms the text.
fn corrected(clauses: Vec<Vec<String>>) -> SearchQuery {
    let most_similar: Vec<_> = clauses.iter().map(|clause| clause[0].as_str()).collect();
    SearchQuery::new(most_similar.join(" "), clauses)
}

/// Returns for each clause the known words that are similar to one of its words and do not match it.
fn similar_words(tx: &mut Tx<'_>, clauses: &[Vec<String>]) -> Result<Vec<Vec<String>>> {
    let mut prefetched = Vec::new();
    for (at, clause) in clauses.iter().enumerate() {
        for word in clause.iter().filter(|word| can_be_misspelt(word)) {
            let trigrams = trigrams(word);
            let candidates = candidates(tx, &trigrams)?;
            prefetched.push((at, trigrams, candidates));
        }
    }
    let mut similar: Vec<Vec<String>> = vec![Vec::new(); clauses.len()];
    for (at, trigrams, candidates) in prefetched {
        let (clause, words) = (&clauses[at], &mut similar[at]);
        for word in most_similar(&trigrams, tx.result(candidates)?) {
            let is_match = clause.iter().any(|prefix| word.starts_with(prefix));
            if !is_match && !words.contains(&word) {
                words.push(word);
            }
        }
    }
    Ok(similar)
}

/// Returns the words that are most similar to one with these trigrams, most similar first.
fn most_similar(trigrams: &[Trigram], candidates: Vec<String>) -> impl Iterator<Item = String> {
    let mut ranked: Vec<_> = candidates
        .into_iter()
        .map(|word| (similarity(trigrams, &self::trigrams(&word)), word))
        .filter(|(similarity, _)| *similarity >= MIN_SIMILARITY)
        .collect();
    ranked.sort_by(|one, other| other.0.cmp(&one.0).then_with(|| one.1.cmp(&other.1)));
    ranked
        .into_iter()
        .take(MAX_SIMILAR_WORDS)
        .map(|(_, word)| word)
}

/// Queries the words of names that share trigrams with a word, those with the most in common first.
fn candidates(tx: &mut Tx<'_>, trigrams: &[Trigram]) -> Result<Prefetched<Vec<String>>> {
    // The trigram of the first letter alone would match a large part of the dictionary.
    let selective = match trigrams {
        [_, rest @ ..] if trigrams.len() > 3 => rest,
        _ => trigrams,
    };
    let texts: Vec<String> = selective.iter().map(text).collect();
    let mut values: Vec<Value<'_>> = texts.iter().map(Value::from).collect();
    values.push(Value::Int(MAX_CANDIDATES));
    let sql = format!(
        "SELECT word FROM search_trigrams WHERE trigram IN {} GROUP BY word
         ORDER BY count(*) DESC, word LIMIT ?{}",
        placeholders(texts.len(), 1),
        values.len()
    );
    tx.prefetch_all(&sql, &values, |row| row.get("word"))
}

/// Inserts words into the dictionary for spelling correction, unless they are there.
pub(super) fn insert_words(tx: &mut Tx<'_>, words: &[&String]) -> Result<()> {
    let mut prefetched = Vec::with_capacity(words.len());
    for word in words {
        let trigrams: Vec<String> = trigrams(word).iter().map(text).collect();
        let known = tx.prefetch_one(
            "SELECT 1 FROM search_trigrams WHERE trigram = ?1 AND word = ?2",
            params![&trigrams[0], *word],
            |_| Ok(()),
        )?;
        prefetched.push((*word, trigrams, known));
    }
    for (word, trigrams, known) in prefetched {
        if tx.result(known)?.is_some() {
            continue;
        }
        let mut values: Vec<Value<'_>> = Vec::with_capacity(trigrams.len() * 2);
        for trigram in &trigrams {
            values.extend([Value::from(trigram), Value::from(word)]);
        }
        let sql = format!(
            "INSERT INTO search_trigrams (trigram, word) VALUES {} ON CONFLICT DO NOTHING",
            placeholders(2, trigrams.len())
        );
        tx.execute_pipelined(&sql, &values)?;
    }
    Ok(())
}

type Trigram = [char; 3];

/// Returns the distinct trigrams of a word in ascending order. The word is padded with two spaces before and one
/// after it, so that its start weighs most, and there is at least one trigram.
fn trigrams(word: &str) -> Vec<Trigram> {
    let padded: Vec<char> = [' ', ' ']
        .into_iter()
        .chain(word.chars())
        .chain([' '])
        .collect();
    let mut all: Vec<Trigram> = padded
        .windows(3)
        .map(|three| [three[0], three[1], three[2]])
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn text(trigram: &Trigram) -> String {
    trigram.iter().collect()
}

/// Returns the similarity of two words from 0 to 1000: the share of common trigrams (Jaccard index).
fn similarity(one: &[Trigram], other: &[Trigram]) -> usize {
    let (mut left, mut right, mut both) = (one, other, 0);
    while let ([first, left_rest @ ..], [second, right_rest @ ..]) = (left, right) {
        match first.cmp(second) {
            Ordering::Less => left = left_rest,
            Ordering::Greater => right = right_rest,
            Ordering::Equal => {
                both += 1;
                (left, right) = (left_rest, right_rest);
            }
        }
    }
    both * 1000 / (one.len() + other.len() - both)
}
