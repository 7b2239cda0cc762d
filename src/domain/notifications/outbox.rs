//! Operations on the outbox: prepare and record attempts, list, retry, drop, and clean up.

use std::time::Duration;

use uuid::Uuid;

use super::{
    mail::{Mail, MailState},
    store,
};
use crate::{
    core::{
        audit::{Action, Changes},
        error::{Error, Result},
        id::MailId,
        pagination::{CursorPage, CursorRequest, Page, PageRequest, Position, SortKey, Total},
    },
    domain::accounts,
    infra::{
        db::Tx,
        jobs::{self, Job},
        outbox::SEND_MAIL,
    },
};

/// How long sent emails stay in the outbox.
const SENT_RETENTION: Duration = Duration::from_hours(30 * 24);

/// Returns the email of a claimed job, with a Message-ID of this domain and a new token for its link. Returns `None`
/// if it was withdrawn or sent.
pub(super) fn prepare(tx: &mut Tx<'_>, domain: &str, job: &Job) -> Result<Option<Mail>> {
    let found = store::by_id(tx, MailId(job.subject))?;
    let Some(mut mail) = found.filter(|mail| mail.state != MailState::Sent) else {
        return Ok(None);
    };
    let id = mail.id;
    let message_id = mail
        .message_id
        .get_or_insert_with(|| format!("{id}@{domain}"));
    store::set_message_id(tx, id, message_id)?;
    if let Some((purpose, user)) = mail.link_for {
        mail.link = Some(accounts::new_link(tx, user, purpose)?);
    }
    Ok(Some(mail))
}

/// Records that an email was sent.
pub(super) fn record_sent(tx: &mut Tx<'_>, job: &Job, subject: &str) -> Result<()> {
    jobs::complete(tx, SEND_MAIL, job.subject)?;
    store::record_sent(tx, MailId(job.subject), subject, job.attempts)
}

/// Returns a page of the emails in the outbox, newest first.
pub fn list(tx: &mut Tx<'_>, page: PageRequest) -> Result<Page<Mail>> {
    let mails = store::list(tx, page)?;
    let mails = with_jobs(tx, mails)?;
    let total = Total::exact(store::count(tx)?);
    Ok(Page::new(page, mails, total))
}

/// Returns the emails after a cursor, newest first.
pub fn after(tx: &mut Tx<'_>, request: &CursorRequest) -> Result<CursorPage<Mail>> {
    let after = request.after.as_ref().map(|position| position.id);
    let before = MailId(after.unwrap_or(Uuid::max()));
    let mails = store::before(tx, before, request.read_limit())?;
    let mails = with_jobs(tx, mails)?;
    request.page(mails, |mail| Position {
        key: SortKey::Number(mail.created_at.0),
        id: mail.id.0,
        is_similar: false,
    })
}

/// Adds the states of their jobs to emails.
fn with_jobs(tx: &mut Tx<'_>, mails: Vec<Mail>) -> Result<Vec<Mail>> {
    let ids: Vec<Uuid> = mails.iter().map(|mail| mail.id.0).collect();
    let jobs = jobs::find_all(tx, SEND_MAIL, &ids)?;
    let mails = mails.into_iter().map(|mail| {
        let job = jobs.get(&mail.id.0);
        mail.with_job(job)
    });
    Ok(mails.collect())
}

/// Returns one email of the outbox. Errors: `NotFound`.
pub fn mail(tx: &mut Tx<'_>, id: MailId) -> Result<Mail> {
    // In this order: attempts lock the job before the email.
    let job = jobs::find(tx, SEND_MAIL, id.0)?;
    let mail = store::by_id(tx, id)?.ok_or_else(|| Error::not_found("mail"))?;
    Ok(mail.with_job(job.as_ref()))
}

/// Returns whether an email is in the outbox and was not sent.
pub fn is_unsent(tx: &mut Tx<'_>, id: MailId) -> Result<bool> {
    store::is_unsent(tx, id)
}

/// Returns the address of an email; `None` if it is not in the outbox.
pub fn recipient(tx: &mut Tx<'_>, id: MailId) -> Result<Option<String>> {
    store::recipient(tx, id)
}

/// Makes an email due now and starts its retry window again. Errors: `CommandFailed` if it was sent.
pub fn retry(tx: &mut Tx<'_>, id: MailId) -> Result<Mail> {
    if mail(tx, id)?.state == MailState::Sent {
        let detail = "this email was sent; request a new one";
        return Err(Error::command_failed(detail));
    }
    tx.enqueue_mail(id)?;
    jobs::retry_now(tx, SEND_MAIL, id.0)?;
    tx.audit(Action::MailRetry, Some(&id), Changes::none)?;
    mail(tx, id)
}

/// Deletes a dead email. Errors: `CommandFailed` if it was sent or is still waiting.
pub fn drop_dead(tx: &mut Tx<'_>, id: MailId) -> Result<Mail> {
    let found = mail(tx, id)?;
    if found.state != MailState::Dead {
        let state = found.state.as_str();
        let detail = format!("this email is {state}; only a dead one can be dropped");
        return Err(Error::command_failed(detail));
    }
    jobs::complete(tx, SEND_MAIL, id.0)?;
    store::delete(tx, id)?;
    tx.audit(Action::MailDrop, Some(&id), Changes::none)?;
    Ok(found)
}

/// Deletes emails that were sent long ago. Returns how many.
pub fn delete_expired_sent(tx: &mut Tx<'_>) -> Result<u64> {
    let before = tx.now().minus(SENT_RETENTION);
    store::delete_sent_before(tx, before)
}
