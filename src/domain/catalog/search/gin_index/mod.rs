//! The search index on Postgres: GIN indexes over the words of `product_search`.
//!
//! Filter terms are not indexed. Older instances that run on the same database would not write them, and
//! concurrent writers would wait for each other's rows.

mod results;
mod tsquery;

use self::{
    results::GinResults,
    tsquery::{matches, tsquery},
};
use super::{
    entry::IndexEntry,
    query::SearchQuery,
    search_index::{SearchIndex, SearchMatches, StoredEntry},
};
use crate::{
    core::{error::Result, id::ProductId},
    domain::catalog::criteria::Criteria,
    infra::db::{Tx, params},
};

pub(super) struct GinIndex;

impl SearchIndex for GinIndex {
    fn indexes_filter_terms(&self) -> bool {
        false
    }

    fn write(&self, _: &mut Tx<'_>, entries: &[IndexEntry]) -> Result<Vec<StoredEntry>> {
        let stored = entries.iter().map(|_| StoredEntry {
            product_number: None,
            filter_terms: String::new(),
        });
        Ok(stored.collect())
    }

    fn remove(&self, tx: &mut Tx<'_>, product: ProductId) -> Result<()> {
        let sql = "DELETE FROM product_search WHERE product_id = ?1";
        tx.execute(sql, params![product]).map(drop)
    }

    fn set_sold_out(&self, _: &mut Tx<'_>, _: ProductId, _: bool) -> Result<()> {
        Ok(())
    }

    /// Cleans the pending lists (<https://www.postgresql.org/docs/current/gin.html#GIN-FAST-UPDATE>).
    fn merge(&self, tx: &mut Tx<'_>) -> Result<()> {
        tx.execute(
            "SELECT gin_clean_pending_list(c.oid) FROM pg_class c
             WHERE c.oid IN (to_regclass('product_search_by_name_words'), to_regclass('product_search_by_words'))
                 AND pg_has_role(c.relowner, 'USAGE')",
            &[],
        )?;
        Ok(())
    }

    fn count(&self, tx: &mut Tx<'_>, clauses: &[Vec<String>], max: i64) -> Result<i64> {
        let sql = format!(
            "SELECT count(*) AS count FROM (SELECT 1 FROM product_search s WHERE {} LIMIT ?2) AS found",
            matches("words", "?1")
        );
        let counted = tx.one(&sql, params![&tsquery(clauses), max], |row| {
            row.get("count")
        })?;
        Ok(counted.unwrap_or_default())
    }

    fn find<'a>(
        &self,
        _: &mut Tx<'_>,
        query: &'a SearchQuery,
        criteria: &'a Criteria,
    ) -> Result<Box<dyn SearchMatches + 'a>> {
        Ok(Box::new(GinResults::new(query, criteria)))
    }
}
