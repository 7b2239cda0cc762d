//! The results of requests to a provider that needs the network: orders to create and refunds to send.

use super::{
    CREATE_PROVIDER_ORDER, Effect, Payment, QueuedRefund, RefundStatus, SEND_REFUND, find,
    issue_refund, receive, store,
};
use crate::{
    core::{
        error::{Error, Result},
        id::{OrderId, RefundId},
    },
    infra::{
        db::Tx,
        jobs::{self, Failure, Job, JobState, Queue},
        ports::Gateway,
    },
};

/// Records the provider's id of an order, unless it has one. Returns the effects of events that named this id
/// before.
pub fn record_order(
    tx: &mut Tx<'_>,
    gateway: &dyn Gateway,
    order: OrderId,
    provider_order_id: &str,
) -> Result<Vec<Effect>> {
    find::lock_payment(tx, order)?;
    store::set_provider_order(tx, order, gateway.name(), provider_order_id)?;
    jobs::complete(tx, CREATE_PROVIDER_ORDER, order.0)?;
    receive::reprocess_for_order(tx, gateway, provider_order_id)
}

/// Returns a refund to send; `None` if its result is known already.
pub fn queued_refund(tx: &mut Tx<'_>, id: RefundId) -> Result<Option<QueuedRefund>> {
    store::queued_refund(tx, id)
}

/// Queues a pending refund again that was not sent and has lost its job. Returns whether it is one.
pub(super) fn requeue(tx: &mut Tx<'_>, id: RefundId) -> Result<bool> {
    let Some(queued) = store::queued_refund(tx, id)? else {
        return Ok(false);
    };
    let payment = lock_payment_of(tx, &queued)?;
    let unsent = store::refunds_without_provider_id(tx, &payment, queued.amount.get())?;
    if unsent.iter().all(|(unsent, _)| *unsent != id) {
        return Ok(false);
    }
    issue_refund::enqueue(tx, &payment, id)?;
    jobs::retry_now(tx, SEND_REFUND, id.0)?;
    Ok(true)
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
            jobs::complete(tx, SEND_REFUND, refund.id.0)?;
            Ok(Effect::None)
        }
    }
}

/// Schedules the next attempt for a refund, or fails it for good if the error is permanent.
pub fn record_refund_failure(
    tx: &mut Tx<'_>,
    queue: &Queue,
    job: &Job,
    queued: &QueuedRefund,
    failure: &Failure,
) -> Result<Option<JobState>> {
    let payment = lock_payment_of(tx, queued)?;
    let refund = payment.refunds.iter().find(|it| it.id == queued.refund);
    if refund.is_none_or(|it| it.status != RefundStatus::Pending) {
        // A webhook has reported its result meanwhile.
        return Ok(None);
    }
    if failure.is_permanent {
        issue_refund::fail(tx, &payment, queued.refund, &failure.why)?;
        return Ok(Some(JobState::Dead));
    }
    jobs::record_failure(tx, queue, job, failure)
}

fn lock_payment_of(tx: &mut Tx<'_>, queued: &QueuedRefund) -> Result<Payment> {
    find::lock_either(tx, queued.order, queued.duplicate.as_deref())?
        .ok_or_else(|| Error::internal("a refund without a payment"))
}
