//! The queue of requests to a provider that needs the network: orders to create and refunds to send. The worker
//! sends them outside transactions. An instance leases what it sends; an expired lease frees it for others.

use std::time::Duration;

use super::{
    Effect, Payment, QueuedOrder, QueuedRefund, RefundStatus, find, issue_refund, receive, store,
};
use crate::{
    app::App,
    core::{
        clock::{MAX_BACKOFF, Timestamp, back_off},
        error::{Error, Result},
        id::OrderId,
    },
    infra::db::Tx,
};

/// How long a request is leased; longer than an attempt can take.
const LEASE: Duration = Duration::from_mins(2);

/// Returns whether any request is due.
pub fn has_due(tx: &mut Tx<'_>, provider: &str) -> Result<bool> {
    let latest = latest_due(tx);
    store::has_due(tx, provider, latest)
}

/// Leases and returns up to `limit` orders to create at the provider.
pub fn claim_orders(tx: &mut Tx<'_>, provider: &str, limit: i64) -> Result<Vec<QueuedOrder>> {
    let orders = store::due_orders(tx, provider, latest_due(tx), limit)?;
    let until = tx.now().plus(LEASE);
    for queued in &orders {
        store::lease_order(tx, queued.order, until)?;
    }
    Ok(orders)
}

/// Leases and returns up to `limit` refunds to send to the provider.
pub fn claim_refunds(tx: &mut Tx<'_>, provider: &str, limit: i64) -> Result<Vec<QueuedRefund>> {
    let refunds = store::due_refunds(tx, provider, latest_due(tx), limit)?;
    let until = tx.now().plus(LEASE);
    for queued in &refunds {
        store::lease_refund(tx, queued.refund, until)?;
    }
    Ok(refunds)
}

/// Returns the latest plausible due time. A later one was written before the clock was set back, and is due.
fn latest_due(tx: &Tx<'_>) -> Timestamp {
    tx.now().plus(MAX_BACKOFF * 2)
}

/// Records the provider's id of an order, unless it has one. Returns the effects of events that named this id
/// before.
pub fn record_order(
    tx: &mut Tx<'_>,
    app: &App,
    order: OrderId,
    provider_order_id: &str,
) -> Result<Vec<Effect>> {
    find::lock_payment(tx, order)?;
    store::set_provider_order(tx, order, app.gateway.name(), provider_order_id)?;
    receive::reprocess_for_order(tx, app, provider_order_id)
}

/// Schedules the next attempt for an order, and records why this one failed.
pub fn reschedule_order(tx: &mut Tx<'_>, queued: &QueuedOrder, reason: &str) -> Result<()> {
    let next = tx.now().plus(back_off(queued.attempts));
    store::reschedule_order(tx, queued.order, Some(next), Some(reason))
}

/// Removes an order from the queue.
pub fn cancel_order(tx: &mut Tx<'_>, order: OrderId) -> Result<()> {
    store::reschedule_order(tx, order, None, None)
}

/// Records the provider's answer to a refund: its id, and whether it was processed, if already known. A webhook
/// may have arrived before.
pub fn record_refund(
    tx: &mut Tx<'_>,
    queued: &QueuedRefund,
    provider_refund_id: &str,
    succeeded: Option<bool>,
) -> Result<Effect> {
    let payment = lock_payment_of(tx, queued)?;
    let refund = payment.refunds.iter().find(|it| it.id == queued.refund);
    let Some(refund) = refund.filter(|it| it.status == RefundStatus::Pending) else {
        return Ok(Effect::None);
    };
    match succeeded {
        Some(true) => {
            issue_refund::complete(tx, &payment, refund, provider_refund_id).map(Effect::Refunded)
        }
        Some(false) => {
            issue_refund::fail(tx, &payment, refund.id, issue_refund::FAILED)?;
            Ok(Effect::None)
        }
        None => {
            store::set_provider_refund(tx, refund.id, provider_refund_id)?;
            Ok(Effect::None)
        }
    }
}

/// Schedules the next attempt for a refund, or fails it for good if the error is permanent.
pub fn reschedule_refund(
    tx: &mut Tx<'_>,
    queued: &QueuedRefund,
    is_permanent: bool,
    reason: &str,
) -> Result<()> {
    let payment = lock_payment_of(tx, queued)?;
    let refund = payment.refunds.iter().find(|it| it.id == queued.refund);
    if refund.is_none_or(|it| it.status != RefundStatus::Pending) {
        // A webhook has reported its result meanwhile.
        return Ok(());
    }
    if is_permanent {
        return issue_refund::fail(tx, &payment, queued.refund, reason);
    }
    let next = tx.now().plus(back_off(queued.attempts));
    store::reschedule_refund(tx, queued.refund, next, reason)
}

fn lock_payment_of(tx: &mut Tx<'_>, queued: &QueuedRefund) -> Result<Payment> {
    find::lock_either(tx, queued.order, queued.duplicate.as_deref())?
        .ok_or_else(|| Error::internal("a refund without a payment"))
}
