//! The queue of requests to the provider, as operators see it: list, retry, drop.

use uuid::Uuid;

use super::{Effect, Note, find, issue_refund, store};
use crate::{
    app::App,
    core::{
        error::{Error, Result},
        id::{OrderId, RefundId, UserId},
        money::Amount,
    },
    infra::{
        db::Tx,
        jobs::{BackgroundJob, JobState},
    },
};

/// Returns the orders to create and the refunds to send, by due time; or the failed refunds.
pub fn jobs(tx: &mut Tx<'_>, state: JobState) -> Result<Vec<BackgroundJob>> {
    match state {
        JobState::Waiting => {
            let mut jobs = store::order_jobs(tx)?;
            jobs.extend(store::refund_jobs(tx)?);
            Ok(jobs)
        }
        JobState::Dead => store::dead_refund_jobs(tx),
    }
}

/// Makes a job due now. A failed refund is requested again under a new id, since the provider answers a repeated
/// id with the first result. Returns `None` if no job has that id.
///
/// Errors: `refund-exceeds-captured` if less than its amount can still be refunded.
pub fn retry_job(tx: &mut Tx<'_>, app: &App, id: Uuid) -> Result<Option<Effect>> {
    let refund = RefundId(id);
    let Some((row, _)) = store::failed_refund(tx, refund)? else {
        let is_job =
            store::retry_refund_now(tx, refund)? || store::retry_order_now(tx, OrderId(id))?;
        return Ok(is_job.then_some(Effect::None));
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
    store::resolve_refund(tx, refund, None, "it was retried")?;
    issue_refund::refund(tx, app, &payment, Some(amount), cause, failed.restock).map(Some)
}

/// Takes a failed refund off the list. Returns whether there is one with that id.
///
/// Errors: `unavailable` if the job is still attempted.
pub fn drop_job(tx: &mut Tx<'_>, id: Uuid, by: Option<UserId>, note: &Note) -> Result<bool> {
    let refund = RefundId(id);
    let Some((row, _)) = store::failed_refund(tx, refund)? else {
        let is_waiting = jobs(tx, JobState::Waiting)?.iter().any(|job| job.id == id);
        return if is_waiting {
            Err(still_attempted())
        } else {
            Ok(false)
        };
    };
    store::resolve_refund(tx, refund, by, note.as_str())?;
    if let Some(duplicate) = &row.transaction {
        store::resolve_duplicate(tx, duplicate, by, note.as_str())?;
    }
    Ok(true)
}

fn still_attempted() -> Error {
    Error::unavailable("this job is still attempted; only a dead one can be dropped")
}
