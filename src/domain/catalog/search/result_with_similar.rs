//! Lists a small search result: all matches, followed by similar products. Both are known by their ids, so that
//! pages and cursors only sort and read rows.

use crate::{
    core::{
        error::{Error, Result},
        id::ProductId,
        pagination::{CursorRequest, PageRequest, Position, Total},
    },
    domain::catalog::{
        filters::Sort,
        store::{CursorRows, OnRow, ProductQuery, cursor_rows, order_by},
    },
    infra::db::Tx,
};

/// The ids of a small search result, best first.
pub(super) struct ResultWithSimilar {
    pub(super) matches: Vec<ProductId>,
    pub(super) similar: Vec<ProductId>,
}

impl ResultWithSimilar {
    /// Calls `on_row` with the products of a page, and returns the total.
    pub(super) fn page(
        &self,
        tx: &mut Tx<'_>,
        sort: Sort,
        page: PageRequest,
        on_row: OnRow<'_>,
    ) -> Result<Total> {
        let (mut offset, mut limit) = (page.offset(), page.limit);
        if sort == Sort::Relevance {
            let ids = [self.matches.as_slice(), &self.similar].concat();
            rows_in_order(tx, &ids, offset, limit, on_row)?;
            return self.total();
        }
        for ids in [&self.matches, &self.similar] {
            let count = count(ids)?;
            let on_page = (count - offset).clamp(0, limit);
            if on_page > 0 {
                only(ids).rows(tx, &order_by(sort), on_page, offset, on_row)?;
            }
            limit -= on_page;
            offset = (offset - count).max(0);
        }
        self.total()
    }

    fn total(&self) -> Result<Total> {
        Ok(Total::counted(
            count(&self.matches)? + count(&self.similar)?,
        ))
    }

    /// Calls `on_row` with the products after a cursor, and returns the position of the next cursor.
    pub(super) fn cursor(
        &self,
        tx: &mut Tx<'_>,
        sort: Sort,
        cursor: &CursorRequest,
        on_row: OnRow<'_>,
    ) -> Result<Option<Position>> {
        let (mut after, mut limit) = (cursor.after.as_ref(), cursor.limit);
        if !after.is_some_and(|position| position.is_similar) {
            let rows = rows_after(tx, sort, &self.matches, (after, limit), on_row)?;
            if rows.count == limit && !self.similar.is_empty() {
                return Ok(rows.last);
            }
            if rows.has_more {
                return Ok(rows.next());
            }
            (after, limit) = (None, limit - rows.count);
        }
        let rows = rows_after(tx, sort, &self.similar, (after, limit), on_row)?;
        Ok(rows.next().map(|position| Position {
            is_similar: true,
            ..position
        }))
    }
}

/// Calls `on_row` with some of the products with these ids, in their order.
pub(super) fn rows_in_order(
    tx: &mut Tx<'_>,
    ids: &[ProductId],
    offset: i64,
    limit: i64,
    on_row: OnRow<'_>,
) -> Result<()> {
    let in_range = (0..)
        .zip(ids)
        .filter(|(at, _)| (offset..offset + limit).contains(at));
    let ids: Vec<ProductId> = in_range.map(|(_, id)| *id).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let mut query = only(&ids);
    let order = query.order_of(&ids);
    query.rows(tx, &order, limit, 0, on_row).map(drop)
}

fn rows_after(
    tx: &mut Tx<'_>,
    sort: Sort,
    ids: &[ProductId],
    (after, limit): (Option<&Position>, i64),
    on_row: OnRow<'_>,
) -> Result<CursorRows> {
    if ids.is_empty() {
        return Ok(CursorRows::default());
    }
    cursor_rows(tx, sort, only(ids), after, limit, on_row)
}

/// Returns a query for these products; `ids` must not be empty.
fn only(ids: &[ProductId]) -> ProductQuery<'_> {
    let mut query = ProductQuery::new();
    query.only(ids);
    query
}

fn count(ids: &[ProductId]) -> Result<i64> {
    i64::try_from(ids.len()).map_err(Error::internal)
}
