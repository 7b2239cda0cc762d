//! Operators' actions on refunds that were not sent or that failed: retry, drop.

use super::{Effect, Note, SEND_REFUND, find, issue_refund, store};
use crate::{
    core::{
        error::{Error, Result},
        id::{OrderId, RefundId, UserId},
        money::Amount,
    },
    infra::{db::Tx, jobs, ports::Gateway},
};

/// Returns the order of a refund.
pub fn order_of_refund(tx: &mut Tx<'_>, id: RefundId) -> Result<Option<OrderId>> {
    store::order_of_refund(tx, id)
}

/// Makes a refund due now. A failed one is requested again under a new id, since the provider would return the
/// first result for the same id. Returns `None` if it was resolved meanwhile.
///
/// Errors: `refund-exceeds-captured` if less than its amount can still be refunded.
pub fn retry_refund(
    tx: &mut Tx<'_>,
    gateway: &dyn Gateway,
    refund: RefundId,
) -> Result<Option<Effect>> {
    let Some((row, _)) = store::failed_refund(tx, refund)? else {
        // One that fails meanwhile stays dead.
        let is_queued = jobs::run_soon(tx, SEND_REFUND, refund.0)? || requeue(tx, refund)?;
        return Ok(is_queued.then_some(Effect::None));
    };
    let payment = find::lock_refunded(tx, row.order, row.transaction.as_deref())?;
    // Read again under the payment's lock: it may have been resolved meanwhile.
    let failed = payment.refunds.iter().find(|it| it.id == refund);
    let (Some(failed), Some((_, cause))) = (failed, store::failed_refund(tx, refund)?) else {
        return Ok(None);
    };
    let amount =
        Amount::try_from(failed.amount.get()).map_err(|e| Error::internal(e.to_string()))?;
    issue_refund::resolve(tx, refund, None, "it was retried")?;
    issue_refund::refund(tx, gateway, &payment, Some(amount), cause, failed.restock).map(Some)
}

/// Queues a pending refund that was not sent and has lost its job. Returns whether it is one.
fn requeue(tx: &mut Tx<'_>, id: RefundId) -> Result<bool> {
    let Some(queued) = store::queued_refund(tx, id)? else {
        return Ok(false);
    };
    let payment = find::lock_refunded(tx, queued.order, queued.duplicate.as_deref())?;
    let unsent = store::refunds_without_provider_id(tx, &payment, queued.amount.get())?;
    if unsent.iter().all(|(unsent, _)| *unsent != id) {
        return Ok(false);
    }
    issue_refund::enqueue(tx, &payment, id)?;
    jobs::retry_now(tx, SEND_REFUND, id.0)?;
    Ok(true)
}

/// Resolves a failed refund with a note, which takes it off the list of dead jobs. Returns `false` if it is not
/// failed, or is already resolved.
pub fn drop_refund(
    tx: &mut Tx<'_>,
    refund: RefundId,
    by: Option<UserId>,
    note: &Note,
) -> Result<bool> {
    let Some((row, _)) = store::failed_refund(tx, refund)? else {
        return Ok(false);
    };
    issue_refund::resolve(tx, refund, by, note.as_str())?;
    if let Some(duplicate) = &row.transaction {
        store::resolve_duplicate(tx, duplicate, by, note.as_str())?;
    }
    Ok(true)
}
