//! The table `outbox`.

use uuid::Uuid;

use super::mail::{Mail, MailState};
use crate::{
    core::{
        clock::Timestamp, error::Result, finding::FINDINGS_QUERY_LIMIT, id::MailId,
        pagination::PageRequest,
    },
    domain::accounts::LinkPurpose,
    infra::{
        db::{Row, Tx, params},
        jobs::JobState,
        outbox::SEND_MAIL,
    },
};

const COLUMNS: &str = "id, recipient, template, data, subject, tries, created_at, sent_at, message_id, \
    link_purpose, link_user_id";

/// Reads an email. The job of an unsent one has its state.
fn mail(row: &Row<'_>) -> Result<Mail> {
    let sent_at: Option<Timestamp> = row.get("sent_at")?;
    let purpose: Option<LinkPurpose> = row.get("link_purpose")?;
    Ok(Mail {
        id: row.get("id")?,
        to: row.get("recipient")?,
        template: row.get("template")?,
        data: row.get("data")?,
        subject: row.get("subject")?,
        state: sent_at.map_or(MailState::Waiting, |_| MailState::Sent),
        attempts: row.get("tries")?,
        error: None,
        created_at: row.get("created_at")?,
        sent_at,
        message_id: row.get("message_id")?,
        link_for: purpose.zip(row.get("link_user_id")?),
        link: None,
    })
}

pub(super) fn by_id(tx: &mut Tx<'_>, id: MailId) -> Result<Option<Mail>> {
    let sql = format!("SELECT {COLUMNS} FROM outbox WHERE id = ?1");
    tx.one(&sql, params![id], mail)
}

pub(super) fn recipient(tx: &mut Tx<'_>, id: MailId) -> Result<Option<String>> {
    let sql = "SELECT recipient FROM outbox WHERE id = ?1";
    tx.one(sql, params![id], |row| row.get("recipient"))
}

pub(super) fn is_unsent(tx: &mut Tx<'_>, id: MailId) -> Result<bool> {
    let sql = "SELECT 1 FROM outbox WHERE id = ?1 AND sent_at IS NULL";
    let found = tx.one(sql, params![id], |_| Ok(()))?;
    Ok(found.is_some())
}

/// Returns a page of the emails, newest first.
pub(super) fn list(tx: &mut Tx<'_>, page: PageRequest) -> Result<Vec<Mail>> {
    let sql = format!("SELECT {COLUMNS} FROM outbox ORDER BY id DESC LIMIT ?1 OFFSET ?2");
    tx.all(&sql, params![page.limit, page.offset()], mail)
}

/// Returns the emails with smaller ids than this, newest first.
pub(super) fn before(tx: &mut Tx<'_>, id: MailId, limit: i64) -> Result<Vec<Mail>> {
    let sql = format!("SELECT {COLUMNS} FROM outbox WHERE id < ?1 ORDER BY id DESC LIMIT ?2");
    tx.all(&sql, params![id, limit], mail)
}

pub(super) fn count(tx: &mut Tx<'_>) -> Result<i64> {
    let sql = "SELECT count(*) AS count FROM outbox";
    let count = tx.one(sql, &[], |row| row.get("count"))?;
    Ok(count.unwrap_or_default())
}

pub(super) fn set_message_id(tx: &mut Tx<'_>, id: MailId, message_id: &str) -> Result<()> {
    tx.execute_pipelined(
        "UPDATE outbox SET message_id = ?2 WHERE id = ?1",
        params![id, message_id],
    )
}

/// Marks an email as sent. Its data stays as long as the email does, so that operators can read it.
pub(super) fn record_sent(tx: &mut Tx<'_>, id: MailId, subject: &str, attempts: i64) -> Result<()> {
    let now = tx.now();
    tx.execute_pipelined(
        "UPDATE outbox SET subject = ?2, tries = ?3, sent_at = ?4 WHERE id = ?1",
        params![id, subject, attempts, now],
    )
}

pub(super) fn delete(tx: &mut Tx<'_>, id: MailId) -> Result<()> {
    tx.execute_pipelined("DELETE FROM outbox WHERE id = ?1", params![id])
}

/// Deletes emails that were sent before this time.
pub(super) fn delete_sent_before(tx: &mut Tx<'_>, before: Timestamp) -> Result<u64> {
    tx.execute("DELETE FROM outbox WHERE sent_at < ?1", params![before])
}

/// Returns unsent emails without a job.
pub(super) fn without_job(tx: &mut Tx<'_>) -> Result<Vec<MailId>> {
    tx.all(
        "SELECT o.id FROM outbox o LEFT JOIN jobs j ON j.subject_id = o.id AND j.kind = ?1
         WHERE o.sent_at IS NULL AND j.subject_id IS NULL ORDER BY o.id LIMIT ?2",
        params![SEND_MAIL, FINDINGS_QUERY_LIMIT],
        |row| row.get("id"),
    )
}

/// Returns the subjects of the jobs that send an email that does not exist or was sent, with their states.
pub(super) fn jobs_without_mail(tx: &mut Tx<'_>) -> Result<Vec<(Uuid, JobState)>> {
    tx.all(
        "SELECT j.subject_id, j.state FROM jobs j
         LEFT JOIN outbox o ON o.id = j.subject_id AND o.sent_at IS NULL
         WHERE j.kind = ?1 AND o.id IS NULL ORDER BY j.subject_id LIMIT ?2",
        params![SEND_MAIL, FINDINGS_QUERY_LIMIT],
        |row| Ok((row.get("subject_id")?, row.get("state")?)),
    )
}
