//! Records the results of the requests to the provider: orders that were created, refunds that were sent or failed.

use super::{
    CREATE_PROVIDER_ORDER, Effect, QueuedRefund, RefundStatus, SEND_REFUND, find, issue_refund,
    receive, store,
};
use crate::{
    core::{error::Result, id::OrderId},
    infra::{
        db::Tx,
        jobs::{self, Failure, Job, JobState, Queue},
        ports::Gateway,
    },
};

/// Records the provider's id of an order, unless this provider has given it another one. Returns the effects of
/// earlier events that named the id.
pub fn record_provider_order(
    tx: &mut Tx<'_>,
    gateway: &dyn Gateway,
    order: OrderId,
    provider_order_id: &str,
) -> Result<Vec<Effect>> {
    find::lock_payment(tx, order)?;
    store::set_provider_order_id(tx, order, gateway.name(), provider_order_id)?;
    jobs::complete(tx, CREATE_PROVIDER_ORDER, order.0)?;
    receive::reprocess_for_order(tx, gateway, provider_order_id)
}

/// Records the provider's response to a refund: its id, and whether it succeeded if that is already known. Changes
/// nothing if a webhook has reported the result before.
pub fn record_refund_result(
    tx: &mut Tx<'_>,
    queued: &QueuedRefund,
    provider_refund_id: &str,
    succeeded: Option<bool>,
) -> Result<Effect> {
    let payment = find::lock_refunded(tx, queued.order, queued.duplicate.as_deref())?;
    let refund = payment.refunds.iter().find(|it| it.id == queued.refund);
    let Some(refund) = refund.filter(|it| it.status == RefundStatus::Pending) else {
        return Ok(Effect::None);
    };
    match succeeded {
        Some(true) => {
            issue_refund::complete(tx, &payment, refund, provider_refund_id).map(Effect::Refunded)
        }
        Some(false) => {
            issue_refund::fail(tx, &payment, refund.id, issue_refund::NO_REASON_GIVEN)?;
            Ok(Effect::None)
        }
        None => {
            store::set_provider_refund_id(tx, refund.id, provider_refund_id)?;
            jobs::complete(tx, SEND_REFUND, refund.id.0)?;
            Ok(Effect::None)
        }
    }
}

/// Records that a refund could not be sent: schedules its next attempt, or fails it if the error is permanent.
/// Changes nothing and returns `None` if a webhook has reported the result before.
pub fn record_refund_failure(
    tx: &mut Tx<'_>,
    queue: &Queue,
    job: &Job,
    queued: &QueuedRefund,
    failure: &Failure,
) -> Result<Option<JobState>> {
    let payment = find::lock_refunded(tx, queued.order, queued.duplicate.as_deref())?;
    let refund = payment.refunds.iter().find(|it| it.id == queued.refund);
    if refund.is_none_or(|it| it.status != RefundStatus::Pending) {
        return Ok(None);
    }
    if failure.is_permanent {
        issue_refund::fail(tx, &payment, queued.refund, &failure.why)?;
        return Ok(Some(JobState::Dead));
    }
    jobs::record_failure(tx, queue, job, failure)
}
