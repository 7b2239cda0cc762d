//! The queue of requests to the provider, as operators see it.

use uuid::Uuid;

use super::{Effect, Note, refund, store};
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

/// Orders to make and refunds to send, by when they are due; or the refunds that failed.
pub fn jobs(tx: &mut Tx<'_>, state: JobState) -> Result<Vec<BackgroundJob>> {
    match state {
        JobState::Waiting => {
            let mut jobs = store::orders_to_make(tx)?;
            jobs.extend(store::refunds_to_send(tx)?);
            Ok(jobs)
        }
        JobState::Dead => store::dead_refunds(tx),
    }
}

/// Attempts a job now. A refund that failed is made again under an id of its own, since the provider
/// answers a repeated id with the first outcome. `None`: no job has that id.
///
/// Errors: `refund-exceeds-captured` where less than its sum could still go back.
pub fn retry_job(tx: &mut Tx<'_>, app: &App, id: Uuid) -> Result<Option<Effect>> {
    let refund = RefundId(id);
    let Some((named, _)) = store::failed_refund(tx, refund)? else {
        let is_job = store::retry_refund(tx, refund)? || store::retry_order(tx, OrderId(id))?;
        return Ok(is_job.then_some(Effect::None));
    };
    let payment = super::hold_account(tx, named.order, named.transaction.as_deref())?
        .ok_or_else(|| Error::internal("a refund without a payment"))?;
    // Under the payment's lock, since it may have been settled meanwhile.
    let failed = payment.refunds.iter().find(|it| it.id == refund);
    let (Some(failed), Some((_, cause))) = (failed, store::failed_refund(tx, refund)?) else {
        return Ok(None);
    };
    let amount =
        Amount::try_from(failed.amount.get()).map_err(|e| Error::internal(e.to_string()))?;
    store::resolve_refund(tx, refund, None, "it was retried")?;
    refund::refund(tx, app, &payment, Some(amount), cause, failed.restock).map(Some)
}

/// Takes a failed refund off the list; returns whether there is one of that id.
///
/// Errors: `unavailable` where the job is still attempted.
pub fn drop_job(tx: &mut Tx<'_>, id: Uuid, by: Option<UserId>, note: &Note) -> Result<bool> {
    let refund = RefundId(id);
    let Some((named, _)) = store::failed_refund(tx, refund)? else {
        let is_waiting = jobs(tx, JobState::Waiting)?.iter().any(|job| job.id == id);
        return if is_waiting {
            Err(still_attempted())
        } else {
            Ok(false)
        };
    };
    store::resolve_refund(tx, refund, by, note.as_str())?;
    if let Some(duplicate) = &named.transaction {
        store::resolve_duplicate(tx, duplicate, by, note.as_str())?;
    }
    Ok(true)
}

fn still_attempted() -> Error {
    Error::unavailable("this job is still attempted; only a dead one can be dropped")
}
