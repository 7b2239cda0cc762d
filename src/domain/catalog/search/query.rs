//! Parses a search text.

use super::tokenize::query_clauses;
use crate::domain::catalog::normalize::normalize;

/// Clauses beyond this number are ignored. A word that is indexed as bigrams makes several.
const MAX_CLAUSES: usize = 12;

/// A parsed search text.
#[derive(Debug, Clone)]
pub(in crate::domain::catalog) struct SearchQuery {
    /// The normalized text. Names that start with it rank first.
    pub(super) normalized: String,
    /// An upper bound of all names that start with the text.
    pub(super) upper_bound: String,
    /// A product matches if, for every clause, one of its words starts with one of the clause's prefixes.
    pub(super) clauses: Vec<Vec<String>>,
}

impl SearchQuery {
    /// Parses a text. Returns `None` if it has no words.
    pub(in crate::domain::catalog) fn parse(text: &str) -> Option<SearchQuery> {
        // Names have no control characters, and Postgres rejects NUL in a parameter.
        let text = &text.replace(char::is_control, " ");
        let mut clauses = query_clauses(text);
        clauses.truncate(MAX_CLAUSES);
        (!clauses.is_empty()).then(|| SearchQuery::new(normalize(text), clauses))
    }

    pub(super) fn new(normalized: String, clauses: Vec<Vec<String>>) -> SearchQuery {
        SearchQuery {
            upper_bound: format!("{normalized}\u{10ffff}"),
            normalized,
            clauses,
        }
    }

    /// Returns the rank of a match by its normalized name and the words of its name. 0: the name starts with the
    /// search text. 1: the words of the name match all clauses. 2: only those of the description do.
    pub(super) fn rank(&self, name_key: &str, name_words: &str) -> u8 {
        if (self.normalized.as_str()..self.upper_bound.as_str()).contains(&name_key) {
            return 0;
        }
        let matches = |prefix: &String| {
            let mut words = name_words.split(' ');
            words.any(|word| word.starts_with(prefix))
        };
        let in_name = self.clauses.iter().all(|clause| clause.iter().any(matches));
        if in_name { 1 } else { 2 }
    }
}
