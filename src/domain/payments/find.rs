//! Finds and locks payments.

use super::{Payment, store};
use crate::{
    core::{
        error::{Error, Result},
        id::OrderId,
    },
    infra::db::Tx,
};

/// Returns the payments of the orders.
pub fn of_orders(tx: &mut Tx<'_>, orders: &[OrderId]) -> Result<Vec<Payment>> {
    store::of_orders(tx, orders)
}

/// Locks and returns the payment of an order. Payments are locked before their orders.
///
/// Errors: `not-found`.
pub fn lock_payment(tx: &mut Tx<'_>, order: OrderId) -> Result<Payment> {
    store::lock_payment(tx, order)?.ok_or_else(|| Error::not_found("order"))
}

/// Locks the payment of an order and returns it or, given the provider's id of a duplicate payment, that one.
pub(super) fn lock_either(
    tx: &mut Tx<'_>,
    order: OrderId,
    duplicate: Option<&str>,
) -> Result<Option<Payment>> {
    let Some(own) = store::lock_payment(tx, order)? else {
        return Ok(None);
    };
    let Some(id) = duplicate else {
        return Ok(Some(own));
    };
    let refunds = store::refunds_of_duplicate(tx, id)?;
    Ok(Some(own.duplicate(id, refunds)))
}
