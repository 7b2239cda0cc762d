//! The table `login_tries`: attempt counters, keyed by a digest of the limit and the counted subject.

use crate::{
    core::{clock::Timestamp, error::Result},
    infra::db::{Tx, params},
};

/// Counts an attempt. Returns `false`, and counts nothing, if the current window has `max` attempts already.
///
/// A window that started before `earliest` has ended. One that started after `latest` comes from a clock that
/// was set back since, and is replaced. A start between now and `latest` is accepted: the clock of another
/// instance, or of a concurrent transaction, may be ahead.
pub(in crate::domain::accounts) fn count(
    tx: &mut Tx<'_>,
    key: &[u8],
    subject: Option<&[u8]>,
    (earliest, latest): (Timestamp, Timestamp),
    max: i64,
) -> Result<bool> {
    let counted = tx.execute(
        "INSERT INTO login_tries (address, subject, since, wrong) VALUES (?1, ?6, ?2, 1)
         ON CONFLICT (address) DO UPDATE SET
             wrong = CASE WHEN login_tries.since BETWEEN ?3 AND ?5
                          THEN login_tries.wrong + 1 ELSE 1 END,
             since = CASE WHEN login_tries.since BETWEEN ?3 AND ?5
                          THEN login_tries.since ELSE excluded.since END
         WHERE login_tries.wrong < ?4 OR login_tries.since NOT BETWEEN ?3 AND ?5",
        params![key, tx.now(), earliest, max, latest, subject],
    )?;
    Ok(counted == 1)
}

/// Returns when the window of a counter started.
pub(in crate::domain::accounts) fn window_start(
    tx: &mut Tx<'_>,
    key: &[u8],
) -> Result<Option<Timestamp>> {
    tx.one(
        "SELECT since FROM login_tries WHERE address = ?1",
        params![key],
        |row| row.get("since"),
    )
}

/// Decrements the counter.
pub(in crate::domain::accounts) fn release(tx: &mut Tx<'_>, key: &[u8]) -> Result<()> {
    tx.execute(
        "UPDATE login_tries SET wrong = wrong - 1 WHERE address = ?1 AND wrong > 0",
        params![key],
    )?;
    Ok(())
}

pub(in crate::domain::accounts) fn delete(tx: &mut Tx<'_>, key: &[u8]) -> Result<()> {
    tx.execute("DELETE FROM login_tries WHERE address = ?1", params![key])?;
    Ok(())
}

pub(in crate::domain::accounts) fn delete_of_subject(
    tx: &mut Tx<'_>,
    subject: &[u8],
) -> Result<()> {
    tx.execute(
        "DELETE FROM login_tries WHERE subject = ?1",
        params![subject],
    )?;
    Ok(())
}

pub(in crate::domain::accounts) fn delete_before(tx: &mut Tx<'_>, before: Timestamp) -> Result<()> {
    tx.execute("DELETE FROM login_tries WHERE since < ?1", params![before])?;
    Ok(())
}
