//! Phones and the codes on their way to them, as rows.

use crate::{
    core::{clock::Timestamp, error::Result, id::UserId},
    infra::db::{Tx, params},
};

/// Writes the number down as not verified, and the code that will prove it in place of any other.
pub(in crate::domain::accounts) fn expect(
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

/// Counts a try before it is looked at; gives hash and salt of a code that may still be guessed.
pub(in crate::domain::accounts) fn count_guess(
    tx: &mut Tx<'_>,
    user: UserId,
    most: i64,
) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
    let counted = tx.execute(
        "UPDATE phone_codes SET tries = tries + 1
         WHERE user_id = ?1 AND tries < ?2 AND expires_at > ?3",
        params![user, most, tx.now()],
    )?;
    if counted == 0 {
        return Ok(None);
    }
    tx.one(
        "SELECT hash, salt FROM phone_codes WHERE user_id = ?1",
        params![user],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

/// The code has done what it was for.
pub(in crate::domain::accounts) fn verify(tx: &mut Tx<'_>, user: UserId) -> Result<()> {
    tx.execute(
        "UPDATE users SET phone_verified = 1 WHERE id = ?1",
        params![user],
    )?;
    tx.execute("DELETE FROM phone_codes WHERE user_id = ?1", params![user])?;
    Ok(())
}

pub(in crate::domain::accounts) fn forget(tx: &mut Tx<'_>) -> Result<u64> {
    tx.execute(
        "DELETE FROM phone_codes WHERE expires_at <= ?1",
        params![tx.now()],
    )
}
