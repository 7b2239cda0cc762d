//! Lists products with filters, a sort order and pagination, by page or cursor. Totals come from stored counters
//! where possible.

use super::{
    category::Category,
    filters::{Filters, ListOutcome},
    product::Product,
    search::{self, SearchQuery},
    store::{self, OnRow, ProductQuery},
};
use crate::{
    core::{
        error::Result,
        pagination::{COUNTED_UP_TO, ListRequest, Total},
    },
    infra::db::{Row, Tx},
};

/// Calls `each` with the requested products in their order. Returns the total of a page list, or the position
/// of the next cursor.
pub fn list(
    tx: &mut Tx<'_>,
    filters: &Filters,
    request: &ListRequest,
    mut each: impl FnMut(Product<'_>) -> Result<()>,
) -> Result<ListOutcome> {
    let empty = match request {
        ListRequest::Page(_) => ListOutcome::Page(Total::exact(0)),
        ListRequest::Cursor(_) => ListOutcome::Cursor(None),
    };
    let category = match &filters.category {
        None => None,
        Some(name) => match store::category_by_id_or_slug(tx, name)? {
            Some(category) => Some(category),
            None => return Ok(empty),
        },
    };
    let settings = tx.settings();
    let mut on_row = |row: &Row<'_>| each(store::read_product(row, settings)?);
    let Some(text) = &filters.q else {
        return list_all(tx, filters, category.as_ref(), request, &mut on_row);
    };
    match SearchQuery::parse(text) {
        Some(query) => search::search(tx, filters, category.as_ref(), query, request, &mut on_row),
        None => Ok(empty),
    }
}

/// Lists without a search text.
fn list_all(
    tx: &mut Tx<'_>,
    filters: &Filters,
    category: Option<&Category>,
    request: &ListRequest,
    on_row: OnRow<'_>,
) -> Result<ListOutcome> {
    let query = ProductQuery::from_filters(filters, category);
    match request {
        ListRequest::Page(page) => {
            let total = match (filters.needs_count(), category) {
                (true, Some(category)) if filters.in_stock.is_none() => {
                    Total::counted(search::count_in_price_range(tx, filters, category.id)?)
                }
                (true, _) => Total::counted(query.count(tx, COUNTED_UP_TO + 1)?),
                (false, Some(category)) => Total::exact(category.product_count),
                (false, None) => Total::exact(store::product_count(tx)?),
            };
            store::page_rows(tx, filters.sort, query, *page, on_row)?;
            Ok(ListOutcome::Page(total))
        }
        ListRequest::Cursor(cursor) => {
            let (after, limit) = (cursor.after.as_ref(), cursor.limit);
            let rows = store::cursor_rows(tx, filters.sort, query, after, limit, on_row)?;
            Ok(ListOutcome::Cursor(rows.next()))
        }
    }
}
