//! Operations on the outbox: claim due emails, record the results, retry, drop, and clean up.

use std::time::Duration;

use super::{
    mail::{Mail, MailState},
    store,
};
use crate::{
    app::App,
    core::{
        clock::{MAX_BACKOFF, Timestamp, back_off},
        error::{Error, Kind, Result},
        id::MailId,
        rng::Rng,
    },
    domain::accounts,
    infra::{
        db::Tx,
        jobs::{BackgroundJob, JobState},
        ports::Refusal,
    },
};

/// How long an email is retried before it is given up.
const RETRY_WINDOW: Duration = Duration::from_hours(24);

/// How long a claimed email is reserved for one attempt. Longer than any attempt takes.
const LEASE: Duration = Duration::from_mins(2);

/// How long sent emails stay in the outbox.
const SENT_RETENTION: Duration = Duration::from_hours(30 * 24);

/// Claims up to `limit` due emails for an attempt, and creates the tokens of their links. No other instance
/// claims them until the lease ends.
pub fn claim_due(tx: &mut Tx<'_>, app: &App, limit: i64) -> Result<Vec<Mail>> {
    let mut mails = store::due(tx, max_due_at(tx), limit)?;
    let (lease_end, domain) = (tx.now().plus(LEASE), app.mailer.domain());
    for mail in &mut mails {
        let id = mail.id;
        let message_id = mail
            .message_id
            .get_or_insert_with(|| format!("{id}@{domain}"));
        store::claim(tx, id, message_id, lease_end)?;
        mail.attempts += 1;
        if let Some((purpose, user)) = mail.link_for {
            mail.link = Some(accounts::new_link(tx, user, purpose)?);
        }
    }
    Ok(mails)
}

/// Returns whether any email is due.
pub(super) fn is_any_due(tx: &mut Tx<'_>) -> Result<bool> {
    let max_due_at = max_due_at(tx);
    store::is_any_due(tx, max_due_at)
}

/// Returns a bound on all valid due times. A later one was written before the clock was set back.
fn max_due_at(tx: &Tx<'_>) -> Timestamp {
    tx.now().plus(MAX_BACKOFF * 2)
}

/// Records that an email was sent, and deletes its content.
pub(super) fn record_sent(tx: &mut Tx<'_>, id: MailId, subject: &str) -> Result<()> {
    store::record_sent(tx, id, subject)
}

/// Records a failed attempt and schedules the next one. Returns `false` if the email is given up.
pub(super) fn record_failed(tx: &mut Tx<'_>, mail: &Mail, refusal: &Refusal) -> Result<bool> {
    let next = tx.now().plus(retry_delay(mail.attempts, tx.rng()));
    let is_over = refusal.is_final || next > mail.retrying_since.plus(RETRY_WINDOW);
    let next = (!is_over).then_some(next);
    store::record_failed(tx, mail.id, &refusal.why, next)?;
    Ok(next.is_some())
}

/// Returns the exponential backoff after this many attempts, with 20 % jitter.
fn retry_delay(attempts: i64, rng: &Rng) -> Duration {
    let percent = u32::try_from(80 + rng.below(41)).unwrap_or(100);
    back_off(attempts) * percent / 100
}

/// Makes waiting emails due now. With `is_alone`, no other instance runs, and emails that a previous process
/// claimed are included.
pub(super) fn retry_now(tx: &mut Tx<'_>, is_alone: bool) -> Result<u64> {
    store::retry_now(tx, is_alone)
}

/// Returns all emails of the outbox, newest first.
pub fn list(tx: &mut Tx<'_>) -> Result<Vec<Mail>> {
    store::list(tx)
}

/// Returns one email of the outbox. Errors: `NotFound`.
pub fn mail(tx: &mut Tx<'_>, id: MailId) -> Result<Mail> {
    store::by_id(tx, id)?.ok_or_else(|| Error::not_found("mail"))
}

/// Makes an email due now and starts its retry window again. Errors: `Unavailable` if it was sent.
pub fn retry(tx: &mut Tx<'_>, id: MailId) -> Result<Mail> {
    if mail(tx, id)?.state == MailState::Sent {
        let detail = "this email was sent and its content is erased; request a new one";
        return Err(Error::new(Kind::Unavailable, detail));
    }
    store::retry(tx, id)?;
    mail(tx, id)
}

/// Deletes a dead email. Errors: `Unavailable` if it was sent or is still waiting.
pub fn drop_dead(tx: &mut Tx<'_>, id: MailId) -> Result<Mail> {
    let found = mail(tx, id)?;
    if found.state != MailState::Dead {
        let state = found.state.as_str();
        let detail = format!("this email is {state}; only a dead one can be dropped");
        return Err(Error::unavailable(detail));
    }
    store::delete(tx, id)?;
    Ok(found)
}

/// Returns the emails that are waiting or dead as jobs, by when they are due.
pub fn jobs(tx: &mut Tx<'_>, state: JobState) -> Result<Vec<BackgroundJob>> {
    store::jobs(tx, state)
}

/// Like [`retry`]. Returns `false` if no unsent email has this id.
pub fn retry_job(tx: &mut Tx<'_>, id: MailId) -> Result<bool> {
    let is_job = is_job(tx, id)?;
    if is_job {
        store::retry(tx, id)?;
    }
    Ok(is_job)
}

/// Like [`drop_dead`]. Returns `false` if no unsent email has this id.
pub fn drop_job(tx: &mut Tx<'_>, id: MailId) -> Result<bool> {
    let is_job = is_job(tx, id)?;
    if is_job {
        drop_dead(tx, id)?;
    }
    Ok(is_job)
}

fn is_job(tx: &mut Tx<'_>, id: MailId) -> Result<bool> {
    Ok(store::by_id(tx, id)?.is_some_and(|mail| mail.state != MailState::Sent))
}

/// Deletes emails that were sent long ago. Returns how many.
pub fn delete_expired_sent(tx: &mut Tx<'_>) -> Result<u64> {
    let before = tx.now().minus(SENT_RETENTION);
    store::delete_sent_before(tx, before)
}
