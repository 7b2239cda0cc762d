//! The search index on `SQLite`: bitmaps of the products with each word, in the format of
//! <https://github.com/RoaringBitmap/RoaringFormatSpec>. They find, count and filter matches by the thousand, where a
//! full-text index would visit each.
//!
//! The *product number* of a product is its `rowid` in `products`, so that each index of that table has it. A row of
//! `postings` holds the bitmap of one *term* in one block of product numbers (see `terms.rs`).
//!
//! Changing one product rewrites the rows of its terms, which many products share. Bitmaps are therefore used only if
//! there is a single writer.

mod buckets;
mod product_set;
mod query;
mod results;
mod terms;
mod write;

use self::{query::BitmapQuery, results::BitmapResults};
use super::{
    entry::IndexEntry,
    query::SearchQuery,
    search_index::{SearchIndex, SearchMatches, StoredEntry},
};
use crate::{
    core::{error::Result, id::ProductId},
    domain::catalog::criteria::Criteria,
    infra::db::Tx,
};

/// How many products share a row: as many as one container of a bitmap holds.
const BLOCK_SIZE: u32 = 1 << 16;

pub(super) struct BitmapIndex;

impl SearchIndex for BitmapIndex {
    fn indexes_filter_terms(&self) -> bool {
        true
    }

    fn write(&self, tx: &mut Tx<'_>, entries: &[IndexEntry]) -> Result<Vec<StoredEntry>> {
        write::write(tx, entries)
    }

    fn remove(&self, tx: &mut Tx<'_>, product: ProductId) -> Result<()> {
        write::remove(tx, product)
    }

    fn set_sold_out(&self, tx: &mut Tx<'_>, product: ProductId, is_sold_out: bool) -> Result<()> {
        write::set_sold_out(tx, product, is_sold_out)
    }

    /// Bitmaps need no merging.
    fn merge(&self, _: &mut Tx<'_>) -> Result<()> {
        Ok(())
    }

    fn count(&self, tx: &mut Tx<'_>, clauses: &[Vec<String>], max: i64) -> Result<i64> {
        let found = BitmapQuery::new(clauses).find(tx, max)?;
        Ok(found.count)
    }

    fn find<'a>(
        &self,
        tx: &mut Tx<'_>,
        query: &'a SearchQuery,
        criteria: &'a Criteria,
    ) -> Result<Box<dyn SearchMatches + 'a>> {
        let results = BitmapResults::find(tx, query, criteria)?;
        Ok(Box::new(results))
    }
}
