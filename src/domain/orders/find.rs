//! Finds orders.

use super::{Order, OrderNumber, Status, first_id, store};
use crate::{
    core::{
        clock::Timestamp,
        error::{Error, Result},
        id::{OrderId, UserId},
    },
    infra::db::Tx,
};

/// Returns an order by id; with `owner`, only if that user placed it. Locks the row in a write transaction.
///
/// Errors: `not-found`.
pub fn order(tx: &mut Tx<'_>, id: OrderId, owner: Option<UserId>) -> Result<Order> {
    store::by_id(tx, id)?
        .filter(|order| owner.is_none_or(|owner| order.user_id == owner))
        .ok_or_else(|| Error::not_found("order"))
}

/// Returns the status of an order, without a lock.
///
/// Errors: `not-found`.
pub fn status_of(tx: &mut Tx<'_>, id: OrderId) -> Result<Status> {
    store::status_of(tx, id)?.ok_or_else(|| Error::not_found("order"))
}

/// Returns an order by its id or its number.
///
/// Errors: `not-found`.
pub fn order_by_name(tx: &mut Tx<'_>, name: &str) -> Result<Order> {
    let id = match name.parse::<OrderId>() {
        Ok(id) => Some(id),
        Err(_) => store::id_by_number(tx, &OrderNumber::normalize(name))?,
    };
    let id = id.ok_or_else(|| Error::not_found("order"))?;
    order(tx, id, None)
}

/// Returns up to `limit` PENDING orders placed before `timestamp`, oldest first.
pub fn unpaid_before(tx: &mut Tx<'_>, timestamp: Timestamp, limit: i64) -> Result<Vec<OrderId>> {
    store::unpaid_before(tx, first_id(timestamp), limit)
}

/// Returns the number of orders by status. Reads all orders.
pub fn counts(tx: &mut Tx<'_>) -> Result<Vec<(Status, i64)>> {
    store::counts(tx)
}
