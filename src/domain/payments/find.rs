//! Finds, locks, lists and totals payments.

use super::{KnownPayment, LedgerEntry, ListedStatus, Payment, QueuedRefund, Totals, store};
use crate::{
    core::{
        error::{Error, Result},
        id::{OrderId, RefundId},
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

/// Locks the payment of an order and returns it; with the provider's id of a duplicate payment of that order,
/// returns the duplicate instead.
pub(super) fn lock_own_or_duplicate(
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

/// Locks and returns the payment of a refund: the order's own, or the duplicate.
pub(super) fn lock_refunded(
    tx: &mut Tx<'_>,
    order: OrderId,
    duplicate: Option<&str>,
) -> Result<Payment> {
    lock_own_or_duplicate(tx, order, duplicate)?
        .ok_or_else(|| Error::internal("a refund without a payment"))
}

/// Returns a pending refund to send; `None` if its result is already known.
pub fn queued_refund(tx: &mut Tx<'_>, id: RefundId) -> Result<Option<QueuedRefund>> {
    store::queued_refund(tx, id)
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

/// Returns how many events of the provider match nothing and wait for an admin.
pub fn unmatched_count(tx: &mut Tx<'_>) -> Result<i64> {
    store::unmatched_count(tx)
}
