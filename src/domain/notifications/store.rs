//! The outbox as rows.

use super::{Mail, State};
use crate::{
    core::{
        clock::Timestamp,
        error::{Error, Result},
        id::MailId,
    },
    domain::accounts::Purpose,
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
            let unknown = || Error::internal(format!("a mail has a link for `{text}`"));
            Purpose::parse(text).ok_or_else(unknown)
        })
        .transpose()?;
    Ok(Mail {
        id: row.get(0)?,
        to: row.get(1)?,
        template: row.get(2)?,
        data: row.get(3)?,
        subject: row.get(4)?,
        state: State::parse(state)
            .ok_or_else(|| Error::internal(format!("a stored mail is `{state}`")))?,
        tries: row.get(6)?,
        error: row.get(7)?,
        created_at: row.get(8)?,
        sent_at: row.get(9)?,
        since: row.get(10)?,
        message_id: row.get(11)?,
        link_for: purpose.zip(row.get(13)?),
        link: None,
    })
}

/// Mails whose time has come, the oldest first: held by this transaction, so that of several instances
/// one gets each. A time that lies beyond `absurd` was written by a clock that was set back since.
pub(super) fn due(tx: &mut Tx<'_>, absurd: Timestamp, most: i64) -> Result<Vec<Mail>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM outbox
         WHERE state = 'waiting' AND (due_at <= ?1 OR due_at > ?2) ORDER BY due_at, id LIMIT ?3"
    );
    tx.all(
        Sql::from(&sql).for_update("outbox"),
        params![tx.now(), absurd, most],
        mail,
    )
}

/// Whether any mail's time has come.
pub(super) fn is_any_due(tx: &mut Tx<'_>, absurd: Timestamp) -> Result<bool> {
    let found = tx.one(
        "SELECT 1 FROM outbox WHERE state = 'waiting' AND (due_at <= ?1 OR due_at > ?2) LIMIT 1",
        params![tx.now(), absurd],
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

/// Begins a try: nobody else tries before `until`.
pub(super) fn claim(tx: &mut Tx<'_>, id: MailId, message_id: &str, until: Timestamp) -> Result<()> {
    tx.execute(
        "UPDATE outbox SET tries = tries + 1, error = NULL, due_at = ?3, message_id = ?2
         WHERE id = ?1",
        params![id, message_id, until],
    )?;
    Ok(())
}

/// It has left: what it said is erased.
pub(super) fn sent(tx: &mut Tx<'_>, id: MailId, subject: &str) -> Result<()> {
    tx.execute(
        "UPDATE outbox SET state = 'sent', data = NULL, error = NULL, subject = ?2, sent_at = ?3
         WHERE id = ?1",
        params![id, subject, tx.now()],
    )?;
    Ok(())
}

/// It has not left: the next try is due at `next`; none: there will be none.
pub(super) fn failed(
    tx: &mut Tx<'_>,
    id: MailId,
    why: &str,
    next: Option<Timestamp>,
) -> Result<()> {
    let state = next.map_or(State::Dead, |_| State::Waiting);
    tx.execute(
        "UPDATE outbox SET state = ?2, error = ?3, due_at = coalesce(?4, due_at)
         WHERE id = ?1 AND state = 'waiting'",
        params![id, state.as_str(), why, next],
    )?;
    Ok(())
}

/// Lets what waits for its next try, or with `abandoned` for its first one to end, be tried now.
pub(super) fn hasten(tx: &mut Tx<'_>, abandoned: bool) -> Result<u64> {
    tx.execute(
        "UPDATE outbox SET due_at = ?1
         WHERE state = 'waiting' AND due_at > ?1 AND (error IS NOT NULL OR ?2 = 1)",
        params![tx.now(), abandoned],
    )
}

pub(super) fn by_id(tx: &mut Tx<'_>, id: MailId) -> Result<Option<Mail>> {
    let sql = format!("SELECT {COLUMNS} FROM outbox WHERE id = ?1");
    tx.one(Sql::from(&sql).for_update("outbox"), params![id], mail)
}

/// All that is kept, the newest first.
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

/// The mails in that state, by when they are due; who gets them is what they are about.
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

/// Forgets what was sent before that moment.
pub(super) fn forget_sent(tx: &mut Tx<'_>, before: Timestamp) -> Result<u64> {
    tx.execute(
        "DELETE FROM outbox WHERE state = 'sent' AND sent_at < ?1",
        params![before],
    )
}
