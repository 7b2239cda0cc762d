//! Counted attempts as rows: by the digest of what is counted and for whom.

use crate::{
    core::{clock::Timestamp, error::Result},
    infra::db::{Tx, params},
};

/// Counts an attempt; returns whether there was room for it in a window that began after `from`. One
/// that began later than `to` was begun by a clock that was set back since; until then it only runs
/// ahead, as the clock of another instance may, or that of a transaction which did not have to wait.
pub(in crate::domain::accounts) fn count(
    tx: &mut Tx<'_>,
    key: &[u8],
    subject: Option<&[u8]>,
    (from, to): (Timestamp, Timestamp),
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
        params![key, tx.now(), from, max, to, subject],
    )?;
    Ok(counted == 1)
}

/// When the window of a key began.
pub(in crate::domain::accounts) fn since(tx: &mut Tx<'_>, key: &[u8]) -> Result<Option<Timestamp>> {
    tx.one(
        "SELECT since FROM login_tries WHERE address = ?1",
        params![key],
        |row| row.get(0),
    )
}

/// Takes an attempt back.
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

pub(in crate::domain::accounts) fn delete_before(
    tx: &mut Tx<'_>,
    before: Timestamp,
) -> Result<u64> {
    tx.execute("DELETE FROM login_tries WHERE since < ?1", params![before])
}
