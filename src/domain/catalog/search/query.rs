//! Parses a search text.

use super::tokenize::query_clauses;
use crate::{
    core::id::ProductId,
    domain::catalog::normalize::{case_fold, normalize},
};

/// Clauses beyond this number are ignored. A word that is indexed as bigrams makes several.
const MAX_CLAUSES: usize = 12;

/// A parsed search text.
#[derive(Debug, Clone)]
pub(in crate::domain::catalog) struct SearchQuery {
    /// The text as a normalized SKU.
    pub(super) sku_key: String,
    /// The product that has a variant with this SKU. It ranks first.
    pub(super) has_sku: Option<ProductId>,
    /// The normalized text. Names that start with it rank next.
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
        (!clauses.is_empty()).then(|| SearchQuery {
            sku_key: case_fold(text),
            ..SearchQuery::new(normalize(text), clauses)
        })
    }

    pub(super) fn new(normalized: String, clauses: Vec<Vec<String>>) -> SearchQuery {
        SearchQuery {
            sku_key: String::new(),
            has_sku: None,
            upper_bound: format!("{normalized}\u{10ffff}"),
            normalized,
            clauses,
        }
    }

    /// Returns the rank of a match by its normalized name and the words of its name. 0: it has the SKU. 1: the name starts
    /// with the search text. 2: the words of the name match all clauses. 3: only others do.
    pub(super) fn rank(&self, product: ProductId, name_key: &str, name_words: &str) -> u8 {
        if self.has_sku == Some(product) {
            return 0;
        }
        if (self.normalized.as_str()..self.upper_bound.as_str()).contains(&name_key) {
            return 1;
        }
        let matches = |prefix: &String| {
            let mut words = name_words.split(' ');
            words.any(|word| word.starts_with(prefix))
        };
        let in_name = self.clauses.iter().all(|clause| clause.iter().any(matches));
        if in_name { 2 } else { 3 }
    }
}
