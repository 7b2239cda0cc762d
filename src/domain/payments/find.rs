//! Finds, locks, lists and totals payments.

use super::{KnownPayment, LedgerEntry, ListedStatus, Payment, Totals, store};
use crate::{
    core::{
        error::{Error, Result},
        id::OrderId,
        pagination::{Page, PageRequest},
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

/// Returns the payments with a status, or the unmatched or resolved events, newest first.
pub fn list(
    tx: &mut Tx<'_>,
    status: Option<ListedStatus>,
    page: PageRequest,
) -> Result<Page<LedgerEntry>> {
    match status {
        Some(ListedStatus::Unmatched) => store::unmatched(tx, false, page),
        Some(ListedStatus::Resolved) => store::unmatched(tx, true, page),
        Some(ListedStatus::Payment(status)) => store::list(tx, Some(status), page),
        None => store::list(tx, None, page),
    }
}

/// Returns up to `limit` payments to reconcile with the provider's record, by order id after `after`: those of
/// orders from `since` on, and those with a pending refund.
pub fn known_payments(
    tx: &mut Tx<'_>,
    provider: &str,
    since: OrderId,
    after: OrderId,
    limit: i64,
) -> Result<Vec<KnownPayment>> {
    store::known_payments(tx, provider, since, after, limit)
}

/// Returns the captured, refunded and unmatched totals.
pub fn totals(tx: &mut Tx<'_>) -> Result<Totals> {
    store::totals(tx)
}
