//! Lists orders, by page or by cursor.

use super::{Filters, Order, store};
use crate::{
    core::{
        error::Result,
        id::OrderId,
        pagination::{CursorPage, List, ListRequest, Position, SortKey},
    },
    infra::db::Tx,
};

/// Returns the requested part of the orders that match, newest first.
pub fn list(tx: &mut Tx<'_>, filters: &Filters, request: &ListRequest) -> Result<List<Order>> {
    match request {
        ListRequest::Page(page) => store::page(tx, filters, *page).map(List::Page),
        ListRequest::Cursor(request) => {
            // One more than the limit shows whether another page follows.
            let limit = request.limit + 1;
            let after = request.after.as_ref().map(|position| OrderId(position.id));
            let mut data = store::after(tx, filters, after, limit)?;
            let has_more = i64::try_from(data.len()).is_ok_and(|count| count == limit);
            data.truncate(usize::try_from(request.limit).unwrap_or_default());
            let last = data.last().filter(|_| has_more).map(|last| Position {
                key: SortKey::Number(last.created_at.0),
                id: last.id.0,
                is_similar: false,
            });
            let next_cursor = last.map(|position| request.cursor(&position)).transpose()?;
            Ok(List::CursorPage(CursorPage { data, next_cursor }))
        }
    }
}
