//! The table `outbox`.

use super::mail::{Mail, MailState};
use crate::{
    core::{
        clock::Timestamp,
        error::{Error, Result},
        id::MailId,
    },
    domain::accounts::LinkPurpose,
    infra::{
        db::{Row, Sql, Tx, params},
        jobs::{BackgroundJob, JobState, MAX_LISTED},
    },
};

const COLUMNS: &str = "id, recipient, template, data, subject, state, tries, error, created_at, \
    sent_at, since, message_id, link_purpose, link_user_id";

fn mail(row: &Row<'_>) -> Result<Mail> {
    let state: &str = row.get(5)?;
    let purpose: Option<&str> = row.get(12)?;
    let purpose = purpose
        .map(|text| {
            let unknown =
                || Error::internal(format!("unknown link purpose `{text}` in the outbox"));
            LinkPurpose::parse(text).ok_or_else(unknown)
        })
        .transpose()?;
    Ok(Mail {
        id: row.get(0)?,
        to: row.get(1)?,
        template: row.get(2)?,
        data: row.get(3)?,
        subject: row.get(4)?,
        state: MailState::parse(state)
            .ok_or_else(|| Error::internal(format!("unknown state `{state}` in the outbox")))?,
        attempts: row.get(6)?,
        error: row.get(7)?,
        created_at: row.get(8)?,
        sent_at: row.get(9)?,
        retrying_since: row.get(10)?,
        message_id: row.get(11)?,
        link_for: purpose.zip(row.get(13)?),
        link: None,
    })
}

/// Returns due emails, longest overdue first, and locks them so that each goes to one instance only. A due
/// time after `max_due_at` counts as due: it was written before the clock was set back.
pub(super) fn due(tx: &mut Tx<'_>, max_due_at: Timestamp, limit: i64) -> Result<Vec<Mail>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM outbox
         WHERE state = 'waiting' AND (due_at <= ?1 OR due_at > ?2) ORDER BY due_at, id LIMIT ?3"
    );
    tx.all(
        Sql::from(&sql).for_update("outbox"),
        params![tx.now(), max_due_at, limit],
        mail,
    )
}

/// Returns whether any email is due, by the same rule as [`due`].
pub(super) fn is_any_due(tx: &mut Tx<'_>, max_due_at: Timestamp) -> Result<bool> {
    let found = tx.one(
        "SELECT 1 FROM outbox WHERE state = 'waiting' AND (due_at <= ?1 OR due_at > ?2) LIMIT 1",
        params![tx.now(), max_due_at],
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

/// Starts an attempt: the email is not due again before `lease_end`.
pub(super) fn claim(
    tx: &mut Tx<'_>,
    id: MailId,
    message_id: &str,
    lease_end: Timestamp,
) -> Result<()> {
    tx.execute(
        "UPDATE outbox SET tries = tries + 1, error = NULL, due_at = ?3, message_id = ?2
         WHERE id = ?1",
        params![id, message_id, lease_end],
    )?;
    Ok(())
}

/// Marks an email as sent and erases its data.
pub(super) fn record_sent(tx: &mut Tx<'_>, id: MailId, subject: &str) -> Result<()> {
    tx.execute(
        "UPDATE outbox SET state = 'sent', data = NULL, error = NULL, subject = ?2, sent_at = ?3
         WHERE id = ?1",
        params![id, subject, tx.now()],
    )?;
    Ok(())
}

/// Records a failed attempt. The next one is due at `next`; `None` marks the email as dead.
pub(super) fn record_failed(
    tx: &mut Tx<'_>,
    id: MailId,
    why: &str,
    next: Option<Timestamp>,
) -> Result<()> {
    let state = next.map_or(MailState::Dead, |_| MailState::Waiting);
    tx.execute(
        "UPDATE outbox SET state = ?2, error = ?3, due_at = coalesce(?4, due_at)
         WHERE id = ?1 AND state = 'waiting'",
        params![id, state.as_str(), why, next],
    )?;
    Ok(())
}

/// Makes waiting emails due now if their last attempt failed; with `include_claimed` also those whose
/// attempt has not ended.
pub(super) fn retry_now(tx: &mut Tx<'_>, include_claimed: bool) -> Result<u64> {
    tx.execute(
        "UPDATE outbox SET due_at = ?1
         WHERE state = 'waiting' AND due_at > ?1 AND (error IS NOT NULL OR ?2 = 1)",
        params![tx.now(), include_claimed],
    )
}

pub(super) fn by_id(tx: &mut Tx<'_>, id: MailId) -> Result<Option<Mail>> {
    let sql = format!("SELECT {COLUMNS} FROM outbox WHERE id = ?1");
    tx.one(Sql::from(&sql).for_update("outbox"), params![id], mail)
}

/// Returns all emails, newest first.
pub(super) fn list(tx: &mut Tx<'_>) -> Result<Vec<Mail>> {
    let sql = format!("SELECT {COLUMNS} FROM outbox ORDER BY id DESC");
    tx.all(&sql, &[], mail)
}

pub(super) fn retry(tx: &mut Tx<'_>, id: MailId) -> Result<()> {
    tx.execute(
        "UPDATE outbox SET state = 'waiting', since = ?2, due_at = ?2 WHERE id = ?1",
        params![id, tx.now()],
    )?;
    Ok(())
}

pub(super) fn delete(tx: &mut Tx<'_>, id: MailId) -> Result<()> {
    tx.execute("DELETE FROM outbox WHERE id = ?1", params![id])?;
    Ok(())
}

/// Returns the emails in a state as jobs, by when they are due. The subject of a job is the recipient.
pub(super) fn jobs(tx: &mut Tx<'_>, state: JobState) -> Result<Vec<BackgroundJob>> {
    tx.all(
        "SELECT id, recipient, due_at, tries, error FROM outbox WHERE state = ?1
         ORDER BY due_at, id LIMIT ?2",
        params![state.as_str(), MAX_LISTED],
        |row| {
            let due_at: Timestamp = row.get(2)?;
            Ok(BackgroundJob {
                id: row.get(0)?,
                kind: "send-mail",
                subject: row.get(1)?,
                state,
                due_at: (state == JobState::Waiting).then_some(due_at),
                attempts: row.get(3)?,
                last_error: row.get(4)?,
            })
        },
    )
}

/// Deletes emails that were sent before this time.
pub(super) fn delete_sent_before(tx: &mut Tx<'_>, before: Timestamp) -> Result<u64> {
    tx.execute(
        "DELETE FROM outbox WHERE state = 'sent' AND sent_at < ?1",
        params![before],
    )
}
