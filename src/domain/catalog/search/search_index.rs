//! The interface of an engine's search index.

use super::{bitmap_index::BitmapMatches, entry::IndexEntry};
use crate::{
    core::{error::Result, id::ProductId, pagination::Position},
    domain::catalog::{
        category::Category,
        filters::Filters,
        store::{IndexSource, ProductQuery},
    },
    infra::db::Tx,
};

/// The texts of a product that a query searches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SearchField {
    Name,
    /// Name and description.
    All,
    /// Name and description, but not if the name alone matches.
    AllButName,
}

/// A query in the language of an engine. A product matches if, for every clause, one of its words starts with
/// one of the clause's prefixes.
#[derive(Debug, Clone)]
pub(super) struct IndexQuery {
    pub(super) clauses: Vec<Vec<String>>,
    /// The clauses as `LIKE` patterns on words that are preceded by a space.
    pub(super) patterns: Vec<Vec<String>>,
    /// The full-text expression for each [`SearchField`].
    expressions: [String; 3],
    /// The product numbers of all matches as a JSON array, if reading those is faster than using the full-text
    /// index.
    pub(super) product_numbers: Option<String>,
    /// The product numbers that match the clauses and all filters, if the index has them; if there are more than
    /// `COUNTED_UP_TO`, then not all.
    pub(super) matches: Option<BitmapMatches>,
}

impl IndexQuery {
    pub(super) fn new(clauses: &[Vec<String>], expressions: [String; 3]) -> IndexQuery {
        let pattern = |prefix: &String| format!("% {prefix}%");
        let patterns = clauses
            .iter()
            .map(|clause| clause.iter().map(pattern).collect());
        IndexQuery {
            clauses: clauses.to_vec(),
            patterns: patterns.collect(),
            expressions,
            product_numbers: None,
            matches: None,
        }
    }

    pub(super) fn expression(&self, field: SearchField) -> &str {
        &self.expressions[field as usize]
    }

    pub(super) fn map_expressions(&mut self, change: impl Fn(&str) -> String) {
        self.expressions = self.expressions.each_ref().map(|text| change(text));
    }

    /// Returns the condition that a column of words matches all clauses. It needs no index.
    pub(super) fn like<'a>(&'a self, query: &mut ProductQuery<'a>, column: &str) -> String {
        let clauses: Vec<_> = self
            .patterns
            .iter()
            .map(|clause| {
                let any: Vec<_> = clause
                    .iter()
                    .map(|pattern| format!("(' ' || {column}) LIKE {}", query.value(pattern)))
                    .collect();
                format!("({})", any.join(" OR "))
            })
            .collect();
        clauses.join(" AND ")
    }
}

/// Some rows of a result in its sort order: `limit` rows after a position or an offset.
#[derive(Clone, Copy)]
pub(super) struct Window<'a> {
    pub(super) after: Option<&'a Position>,
    pub(super) offset: i64,
    pub(super) limit: i64,
}

/// What an engine stores of an entry in `product_search`.
pub(super) struct StoredEntry {
    /// The product number, which the bitmaps contain; `None` if the engine has none. In the column `number`.
    pub(super) product_number: Option<i64>,
    /// Separated by spaces.
    pub(super) words: String,
    /// Separated by spaces; empty if the engine does not index them. In the column `marks`.
    pub(super) filter_terms: String,
}

/// A full-text index of the rows of `product_search`.
pub(super) trait SearchIndex {
    /// Returns whether the index has filter terms: category, price and availability.
    fn indexes_filter_terms(&self) -> bool;

    /// Updates what the engine keeps besides `product_search`, such as its dictionary, and returns what to
    /// store there for each entry.
    fn write(&self, tx: &mut Tx<'_>, entries: &[IndexEntry]) -> Result<Vec<StoredEntry>>;

    /// Removes a product from the index.
    fn remove(&self, tx: &mut Tx<'_>, product: ProductId) -> Result<()>;

    /// Records that a product has sold out or is available again.
    fn set_sold_out(&self, tx: &mut Tx<'_>, product: ProductId, is_sold_out: bool) -> Result<()>;

    /// Merges the segments of the index, to make searches fast after many writes.
    fn merge(&self, tx: &mut Tx<'_>) -> Result<()>;

    /// Translates clauses into the engine's query language.
    fn query(&self, tx: &mut Tx<'_>, clauses: &[Vec<String>]) -> Result<IndexQuery>;

    /// Counts the products that match the clauses, up to `max`.
    fn count(&self, tx: &mut Tx<'_>, clauses: &[Vec<String>], max: i64) -> Result<i64>;

    /// Adds filters to the query, and its `matches`. An engine that does not index filter terms leaves the query
    /// unchanged. Only the category filter is certain to be part of the query afterwards; the caller must check the
    /// others on the products.
    fn add_filters(
        &self,
        tx: &mut Tx<'_>,
        query: &mut IndexQuery,
        filters: &Filters,
        category: Option<&Category>,
    ) -> Result<()>;

    /// Returns the product numbers of some rows as a JSON array, or `None` if the engine has no product numbers.
    fn numbers_in_order(
        &self,
        tx: &mut Tx<'_>,
        query: &IndexQuery,
        filters: &Filters,
        category: Option<&Category>,
        window: Window<'_>,
    ) -> Result<Option<String>>;

    /// Returns the query as the source of a statement, and adds its values to it.
    fn source<'a>(
        &self,
        statement: &mut ProductQuery<'a>,
        query: &'a IndexQuery,
        field: SearchField,
    ) -> IndexSource;
}
