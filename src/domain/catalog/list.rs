//! Lists products with filters, a sort order and pagination, by page or cursor. Totals come from stored counters
//! where possible.

use super::{
    criteria::Criteria,
    filters::{Filters, ListOutcome, Sort},
    normalize::case_fold,
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
    let Some(criteria) = resolve(tx, filters)? else {
        return Ok(empty);
    };
    let settings = tx.settings();
    let mut on_row = |row: &Row<'_>| each(store::read_product(row, settings)?);
    let Some(text) = &filters.q else {
        return list_all(tx, &criteria, request, &mut on_row);
    };
    match SearchQuery::parse(text) {
        Some(query) => search::search(tx, &criteria, query, request, &mut on_row),
        None => Ok(empty),
    }
}

/// Resolves filters. Returns `None` if no product can match.
fn resolve(tx: &mut Tx<'_>, filters: &Filters) -> Result<Option<Criteria>> {
    let mut criteria = Criteria {
        category: None,
        collection: None,
        product: None,
        prices: filters.prices(),
        in_stock: filters.in_stock,
        sort: filters.sort,
    };
    if let Some(name) = &filters.category {
        criteria.category = store::category_by_id_or_slug(tx, name)?;
        if criteria.category.is_none() {
            return Ok(None);
        }
    }
    if let Some(name) = &filters.collection {
        criteria.collection = store::collection_by_id_or_slug(tx, name)?;
        if criteria.collection.is_none() {
            return Ok(None);
        }
    }
    if let Some(sku) = &filters.sku {
        // No SKU has control characters, and Postgres rejects NUL in a parameter.
        if sku.contains(char::is_control) {
            return Ok(None);
        }
        criteria.product = store::product_by_sku_key(tx, &case_fold(sku))?;
        if criteria.product.is_none() {
            return Ok(None);
        }
    }
    Ok(Some(criteria))
}

/// Lists without a search text.
fn list_all(
    tx: &mut Tx<'_>,
    criteria: &Criteria,
    request: &ListRequest,
    on_row: OnRow<'_>,
) -> Result<ListOutcome> {
    match request {
        ListRequest::Page(page) => {
            let stored = stored_count(tx, criteria)?;
            let last_row = page.offset() + page.limit;
            let query = choose_index(tx, criteria, stored, last_row)?;
            let total = match stored {
                Some(count) if criteria.has_price_or_stock() => Total::counted(count),
                Some(count) => Total::exact(count),
                None => Total::counted(query.count(tx, COUNTED_UP_TO + 1)?),
            };
            store::page_rows(tx, criteria.sort, query, page.offset(), page.limit, on_row)?;
            Ok(ListOutcome::Page(total))
        }
        ListRequest::Cursor(cursor) => {
            let (after, limit) = (cursor.after.as_ref(), cursor.limit);
            let stored = if criteria.prices.is_some() {
                stored_count(tx, criteria)?
            } else {
                None
            };
            let query = choose_index(tx, criteria, stored, limit)?;
            let rows = store::cursor_rows(tx, criteria.sort, query, after, limit, on_row)?;
            Ok(ListOutcome::Cursor(rows.next()))
        }
    }
}

/// Returns the number of matching products if it follows from stored counters.
fn stored_count(tx: &mut Tx<'_>, criteria: &Criteria) -> Result<Option<i64>> {
    let category = criteria.category.as_ref();
    match category {
        _ if criteria.product.is_some() || criteria.collection.is_some() => Ok(None),
        _ if criteria.has_price_or_stock() => store::count_by_price(
            tx,
            category.map(|category| category.id),
            criteria.prices.as_ref(),
            criteria.in_stock,
        ),
        Some(category) => Ok(Some(category.product_count)),
        None => store::product_count(tx).map(Some),
    }
}

/// The time to read a product, in index entries that can be scanned meanwhile.
const ENTRIES_PER_PRODUCT: i64 = 20;

/// Returns the query for a list whose last row is `last_row`, and which has `count` rows altogether. For a range of
/// prices in another order there are two ways: to scan the index of that order until there are enough rows, or to read
/// and sort all products in the range. `SQLite` has no statistics to choose by, but exact counts.
fn choose_index<'a>(
    tx: &mut Tx<'_>,
    criteria: &Criteria,
    count: Option<i64>,
    last_row: i64,
) -> Result<ProductQuery<'a>> {
    let (Some(count), Some(_)) = (count, &criteria.prices) else {
        return Ok(ProductQuery::with_criteria(criteria));
    };
    if !criteria.sort.is_by_price() {
        let id = criteria.category.as_ref().map(|category| category.id);
        let all = store::count_by_price(tx, id, None, criteria.in_stock)?.unwrap_or(count);
        if is_scan_faster(all, count, last_row) {
            let mut query = ProductQuery::in_sort_order(criteria);
            store::use_sold_out_index(&mut query, criteria, criteria.sort);
            return Ok(query);
        }
    }
    let mut query = ProductQuery::with_criteria(criteria);
    store::use_sold_out_index(&mut query, criteria, Sort::Price);
    Ok(query)
}

/// Estimates whether scanning an index of `entries` for `count` matches, until the row `last_row` of the result, takes less
/// time than reading and sorting all matches.
fn is_scan_faster(entries: i64, count: i64, last_row: i64) -> bool {
    let scanned = entries.saturating_mul(last_row.min(count)) / count.max(1);
    scanned < count.saturating_mul(ENTRIES_PER_PRODUCT)
}
