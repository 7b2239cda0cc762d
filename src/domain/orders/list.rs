//! Lists orders, by page or by cursor.

use super::{Filters, Order, store};
use crate::{
    core::{
        error::Result,
        id::OrderId,
        pagination::{List, ListRequest, Position, SortKey},
    },
    infra::db::Tx,
};

/// Returns the requested part of the orders that match, newest first.
pub fn list(tx: &mut Tx<'_>, filters: &Filters, request: &ListRequest) -> Result<List<Order>> {
    match request {
        ListRequest::Page(page) => store::page(tx, filters, *page).map(List::Page),
        ListRequest::Cursor(request) => {
            let after = request.after.as_ref().map(|position| OrderId(position.id));
            let data = store::after(tx, filters, after, request.read_limit())?;
            let page = request.page(data, |order| Position {
                key: SortKey::Number(order.created_at.0),
                id: order.id.0,
                is_similar: false,
            })?;
            Ok(List::CursorPage(page))
        }
    }
}
