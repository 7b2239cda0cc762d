//! The table `phone_codes`, and the phone numbers in `users`.

use crate::{
    core::{clock::Timestamp, error::Result, id::UserId},
    infra::db::{Tx, params},
};

/// Sets the phone number as unverified, and replaces the code that verifies it.
pub(in crate::domain::accounts) fn upsert(
    tx: &mut Tx<'_>,
    user: UserId,
    phone: &str,
    (hash, salt): (&[u8], &[u8]),
    expires: Timestamp,
) -> Result<()> {
    tx.execute(
        "UPDATE users SET phone = ?2, phone_verified = 0 WHERE id = ?1",
        params![user, phone],
    )?;
    tx.execute(
        "INSERT INTO phone_codes (user_id, hash, salt, tries, expires_at)
         VALUES (?1, ?2, ?3, 0, ?4)
         ON CONFLICT (user_id) DO UPDATE SET hash = excluded.hash, salt = excluded.salt,
             tries = 0, expires_at = excluded.expires_at",
        params![user, hash, salt, expires],
    )?;
    Ok(())
}

/// Counts an attempt before the code is compared. Returns the hash and salt of the code, or `None` if it has
/// expired or allows no more attempts.
pub(in crate::domain::accounts) fn count_attempt(
    tx: &mut Tx<'_>,
    user: UserId,
    max_attempts: i64,
) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
    let counted = tx.execute(
        "UPDATE phone_codes SET tries = tries + 1
         WHERE user_id = ?1 AND tries < ?2 AND expires_at > ?3",
        params![user, max_attempts, tx.now()],
    )?;
    if counted == 0 {
        return Ok(None);
    }
    tx.one(
        "SELECT hash, salt FROM phone_codes WHERE user_id = ?1",
        params![user],
        |row| Ok((row.get("hash")?, row.get("salt")?)),
    )
}

/// Marks the phone number as verified and deletes its code.
pub(in crate::domain::accounts) fn mark_verified(tx: &mut Tx<'_>, user: UserId) -> Result<()> {
    tx.execute(
        "UPDATE users SET phone_verified = 1 WHERE id = ?1",
        params![user],
    )?;
    tx.execute("DELETE FROM phone_codes WHERE user_id = ?1", params![user])?;
    Ok(())
}

pub(in crate::domain::accounts) fn delete_expired(tx: &mut Tx<'_>) -> Result<()> {
    tx.execute(
        "DELETE FROM phone_codes WHERE expires_at <= ?1",
        params![tx.now()],
    )?;
    Ok(())
}
