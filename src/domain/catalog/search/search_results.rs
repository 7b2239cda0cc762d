//! Lists search results with pagination, by page or cursor. If there are few matches, similar products follow after
//! all of them, in the same sort order.

use super::{
    engine::search_index, query::SearchQuery, result_with_similar::ResultWithSimilar,
    search_index::SearchMatches, spelling,
};
use crate::{
    core::{
        error::Result,
        id::ProductId,
        pagination::{COUNTED_UP_TO, ListRequest, Total},
    },
    domain::catalog::{
        criteria::Criteria,
        filters::{ListOutcome, Sort},
        store::{self, OnRow},
    },
    infra::db::Tx,
};

/// If fewer products match, up to this many similar ones follow.
const MAX_SIMILAR_PRODUCTS: i64 = 20;

/// Calls `on_row` with the products that match the search and the criteria, and similar ones if there are few.
pub(in crate::domain::catalog) fn search(
    tx: &mut Tx<'_>,
    criteria: &Criteria,
    mut query: SearchQuery,
    request: &ListRequest,
    on_row: OnRow<'_>,
) -> Result<ListOutcome> {
    if criteria.sort == Sort::Relevance {
        query.has_sku = store::product_by_sku_key(tx, &query.sku_key)?;
    }
    let mut matches = search_index(tx).find(tx, &query, criteria)?;
    let total = matches.total(tx)?;
    if total < MAX_SIMILAR_PRODUCTS {
        let result = with_similar(tx, criteria, &query, matches.as_mut(), total)?;
        return match request {
            ListRequest::Page(page) => {
                let total = result.page(tx, criteria.sort, *page, on_row)?;
                Ok(ListOutcome::Page(total))
            }
            ListRequest::Cursor(cursor) => {
                let next = result.cursor(tx, criteria.sort, cursor, on_row)?;
                Ok(ListOutcome::Cursor(next))
            }
        };
    }
    match request {
        ListRequest::Page(page) => {
            // A capped total does not include the rows after the cap.
            if page.offset() < total || total > COUNTED_UP_TO {
                matches.page(tx, *page, on_row)?;
            }
            Ok(ListOutcome::Page(Total::counted(total)))
        }
        ListRequest::Cursor(cursor) => {
            let after = cursor.after.as_ref();
            if after.is_some_and(|position| position.is_similar) {
                // There were few matches when the cursor was created; now similar products do not follow.
                return Ok(ListOutcome::Cursor(None));
            }
            let rows = matches.rows_after(tx, cursor, on_row)?;
            Ok(ListOutcome::Cursor(rows.next()))
        }
    }
}

/// Returns all matches, of which there are `total`, and the products that are most similar to the search without matching it.
fn with_similar(
    tx: &mut Tx<'_>,
    criteria: &Criteria,
    query: &SearchQuery,
    matches: &mut dyn SearchMatches,
    total: i64,
) -> Result<ResultWithSimilar> {
    let matches = if total == 0 {
        Vec::new()
    } else {
        matches.most_relevant(tx, total)?
    };
    let finds_any = (total > 0 || !criteria.is_filtered()).then_some(total > 0);
    let mut similar: Vec<ProductId> = Vec::new();
    if let Some(corrected) = spelling::with_similar_spellings(tx, query, finds_any)? {
        let mut found = search_index(tx).find(tx, &corrected, criteria)?;
        let found = found.most_relevant(tx, MAX_SIMILAR_PRODUCTS + total)?;
        let others = found.into_iter().filter(|id| !matches.contains(id));
        similar = (0..MAX_SIMILAR_PRODUCTS)
            .zip(others)
            .map(|(_, id)| id)
            .collect();
    }
    Ok(ResultWithSimilar { matches, similar })
}
