//! Spelling correction: finds the known words that are most similar to a misspelt one, by trigrams.

use std::collections::BTreeSet;

use super::{
    engine::search_index, query::SearchQuery, search_index::IndexQuery, tokenize::can_be_misspelt,
};
use crate::{
    core::error::Result,
    infra::db::{Tx, Value, params, placeholders},
};

/// How many similar words replace a misspelt one.
const MAX_SIMILAR: usize = 5;

/// How many words with common trigrams are compared.
const MAX_CANDIDATES: i64 = 200;

/// The minimum similarity, in thousandths.
const MIN_SIMILARITY: usize = 300;

/// Matches are counted up to this number to find the rarest clause.
const MAX_COUNTED: i64 = 1000;

/// Returns a search for similar spellings, with its index query, or `None` if it would find nothing more than
/// `search`. Each word is replaced by itself or similar words. If no product matches all clauses, only the
/// rarest clause is used.
pub(super) fn or_correct_spelling(
    tx: &mut Tx<'_>,
    search: &SearchQuery,
) -> Result<Option<(SearchQuery, IndexQuery)>> {
    let index = search_index(tx);
    let mut clauses = Vec::new();
    for clause in &search.clauses {
        let query = index.query(tx, std::slice::from_ref(clause))?;
        let mut words = Vec::new();
        for word in clause.iter().filter(|word| can_be_misspelt(word)) {
            for similar in similar_words(tx, word)? {
                let is_match = clause.iter().any(|prefix| similar.starts_with(prefix));
                if !is_match && !words.contains(&similar) {
                    words.push(similar);
                }
            }
        }
        if index.count(tx, &query, 1)? > 0 {
            words.extend_from_slice(clause);
        }
        clauses.push(words);
    }
    // A clause without similar words is ignored, unless all are.
    clauses.retain(|clause| !clause.is_empty());
    if clauses.is_empty() {
        return Ok(None);
    }
    let query = index.query(tx, &clauses)?;
    if clauses.len() == 1 || index.count(tx, &query, 1)? > 0 {
        let finds_more = clauses != search.clauses;
        return Ok(finds_more.then(|| (corrected(clauses), query)));
    }
    let mut counted = Vec::new();
    for clause in clauses {
        let query = index.query(tx, std::slice::from_ref(&clause))?;
        counted.push((index.count(tx, &query, MAX_COUNTED)?, clause, query));
    }
    let rarest = counted.into_iter().min_by_key(|(count, ..)| *count);
    Ok(rarest.map(|(_, clause, query)| (corrected(vec![clause]), query)))
}

/// Returns a search for these clauses; the most similar word of each forms the text.
fn corrected(clauses: Vec<Vec<String>>) -> SearchQuery {
    let most_similar: Vec<_> = clauses.iter().map(|clause| clause[0].as_str()).collect();
    SearchQuery::new(most_similar.join(" "), clauses)
}

/// Returns the known words that are most similar to this one, most similar first.
fn similar_words(tx: &mut Tx<'_>, word: &str) -> Result<Vec<String>> {
    let mut ranked: Vec<_> = candidates(tx, word)?
        .into_iter()
        .map(|other| (similarity(word, &other), other))
        .filter(|(similarity, _)| *similarity >= MIN_SIMILARITY)
        .collect();
    ranked.sort_by(|one, other| other.0.cmp(&one.0).then_with(|| one.1.cmp(&other.1)));
    Ok(ranked
        .into_iter()
        .take(MAX_SIMILAR)
        .map(|(_, word)| word)
        .collect())
}

/// Returns words of names that share trigrams with this one, those with the most in common first.
fn candidates(tx: &mut Tx<'_>, word: &str) -> Result<Vec<String>> {
    let mut trigrams = trigrams(word);
    // The trigram of the first letter alone would match a large part of the dictionary.
    if trigrams.len() > 3 {
        trigrams.pop_first();
    }
    let mut values: Vec<Value<'_>> = trigrams.iter().map(Value::from).collect();
    values.push(Value::Int(MAX_CANDIDATES));
    let sql = format!(
        "SELECT word FROM search_trigrams WHERE trigram IN {} GROUP BY word
         ORDER BY count(*) DESC, word LIMIT ?{}",
        placeholders(trigrams.len(), 1),
        values.len()
    );
    tx.all(&sql, &values, |row| row.get(0))
}

/// Inserts a word into the dictionary for spelling correction, unless it is there.
pub(super) fn insert_trigrams(tx: &mut Tx<'_>, word: &str) -> Result<()> {
    let trigrams = trigrams(word);
    let Some(first) = trigrams.first() else {
        return Ok(());
    };
    let known = tx.one(
        "SELECT 1 FROM search_trigrams WHERE trigram = ?1 AND word = ?2",
        params![first, word],
        |_| Ok(()),
    )?;
    if known.is_some() {
        return Ok(());
    }
    let mut values: Vec<Value<'_>> = Vec::with_capacity(trigrams.len() * 2);
    for trigram in &trigrams {
        values.extend([Value::from(trigram), Value::Text(word)]);
    }
    let sql = format!(
        "INSERT INTO search_trigrams (trigram, word) VALUES {} ON CONFLICT DO NOTHING",
        placeholders(2, trigrams.len())
    );
    tx.execute(&sql, &values).map(drop)
}

/// Returns the trigrams of a word, padded with two spaces before and one after it, so that its start weighs
/// most.
fn trigrams(word: &str) -> BTreeSet<String> {
    let padded: Vec<char> = format!("  {word} ").chars().collect();
    padded
        .windows(3)
        .map(|three| three.iter().collect())
        .collect()
}

/// Returns the similarity of two words from 0 to 1000: the share of common trigrams (Jaccard index).
fn similarity(one: &str, other: &str) -> usize {
    let (one, other) = (trigrams(one), trigrams(other));
    let both = one.intersection(&other).count();
    let either = one.len() + other.len() - both;
    both * 1000 / either.max(1)
}
