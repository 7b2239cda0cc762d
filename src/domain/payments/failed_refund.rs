//! Operators' actions on refunds that were not sent or that failed: retry, drop.

use super::{Effect, Note, SEND_REFUND, find, gateway_queue, issue_refund, store};
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

/// Makes a refund due now. A failed one is requested again under a new id, since the provider answers a repeated id
/// with the first result. Returns `None` if it was resolved meanwhile.
///
/// Errors: `refund-exceeds-captured` if less than its amount can still be refunded.
pub fn retry_refund(
    tx: &mut Tx<'_>,
    gateway: &dyn Gateway,
    refund: RefundId,
) -> Result<Option<Effect>> {
    let Some((row, _)) = store::failed_refund(tx, refund)? else {
        // One that fails meanwhile stays dead.
        let is_queued =
            jobs::run_soon(tx, SEND_REFUND, refund.0)? || gateway_queue::requeue(tx, refund)?;
        return Ok(is_queued.then_some(Effect::None));
    };
    let payment = find::lock_either(tx, row.order, row.transaction.as_deref())?
        .ok_or_else(|| Error::internal("a refund without a payment"))?;
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

/// Takes a failed refund off the list. Returns whether it is failed and not resolved.
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
