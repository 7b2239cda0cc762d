//! The interface of an engine's search index.

use super::{entry::IndexEntry, query::SearchQuery};
use crate::{
    core::{
        error::Result,
        id::ProductId,
        pagination::{CursorRequest, PageRequest},
    },
    domain::catalog::{
        criteria::Criteria,
        store::{CursorRows, OnRow},
    },
    infra::db::Tx,
};

/// What an engine stores of an entry in `product_search`.
pub(super) struct StoredEntry {
    /// The product number, which the bitmaps contain; `None` if the engine has none. In the column `number`.
    pub(super) product_number: Option<i64>,
    /// Separated by spaces; empty if the engine does not index them. In the column `marks`.
    pub(super) filter_terms: String,
}

/// An index of the words of products.
pub(super) trait SearchIndex {
    /// Returns whether the index has filter terms: category, price and availability.
    fn indexes_filter_terms(&self) -> bool;

    /// Updates what the engine keeps besides `product_search`, and returns what to store there for each entry.
    fn write(&self, tx: &mut Tx<'_>, entries: &[IndexEntry]) -> Result<Vec<StoredEntry>>;

    /// Removes a product from the index.
    fn remove(&self, tx: &mut Tx<'_>, product: ProductId) -> Result<()>;

    /// Records that a product has sold out or is available again.
    fn set_sold_out(&self, tx: &mut Tx<'_>, product: ProductId, is_sold_out: bool) -> Result<()>;

    /// Makes searches fast after many writes.
    fn merge(&self, tx: &mut Tx<'_>) -> Result<()>;

    /// Counts the products that match the clauses, up to `max`.
    fn count(&self, tx: &mut Tx<'_>, clauses: &[Vec<String>], max: i64) -> Result<i64>;

    /// Finds the products that match a search and criteria.
    fn find<'a>(
        &self,
        tx: &mut Tx<'_>,
        query: &'a SearchQuery,
        criteria: &'a Criteria,
    ) -> Result<Box<dyn SearchMatches + 'a>>;
}

/// The products that match a search and criteria.
///
/// Relevance has four classes: the product with the search text as SKU, names that start with the text, names with all
/// words, all others. Each is ordered by name, so that an exact name comes first in its class.
pub(super) trait SearchMatches {
    /// Returns the number of matches, counted up to one past `COUNTED_UP_TO`.
    fn total(&mut self, tx: &mut Tx<'_>) -> Result<i64>;

    /// Calls `on_row` with the matches of a page, in the sort order of the criteria.
    fn page(&mut self, tx: &mut Tx<'_>, page: PageRequest, on_row: OnRow<'_>) -> Result<()>;

    /// Calls `on_row` with the matches after a cursor, in the sort order of the criteria.
    fn rows_after(
        &mut self,
        tx: &mut Tx<'_>,
        cursor: &CursorRequest,
        on_row: OnRow<'_>,
    ) -> Result<CursorRows>;

    /// Returns the ids of the first matches by relevance, up to `max`.
    fn most_relevant(&mut self, tx: &mut Tx<'_>, max: i64) -> Result<Vec<ProductId>>;
}
