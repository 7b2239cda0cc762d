//! What links in mails carry, as rows.

use crate::{
    core::{clock::Timestamp, error::Result, id::UserId},
    domain::accounts::Purpose,
    infra::db::{Sql, Tx, params},
};

pub(in crate::domain::accounts) fn insert(
    tx: &mut Tx<'_>,
    hash: &[u8],
    user: UserId,
    purpose: Purpose,
    expires: Timestamp,
) -> Result<()> {
    tx.execute(
        "INSERT INTO link_tokens (hash, user_id, purpose, expires_at) VALUES (?1, ?2, ?3, ?4)",
        params![hash, user, purpose.as_str(), expires],
    )?;
    Ok(())
}

/// Whose token it is, if it is still good and the account is not disabled.
pub(in crate::domain::accounts) fn owner(
    tx: &mut Tx<'_>,
    hash: &[u8],
    purpose: Purpose,
) -> Result<Option<UserId>> {
    let sql = "SELECT t.user_id FROM link_tokens t JOIN users u ON u.id = t.user_id
         WHERE t.hash = ?1 AND t.purpose = ?2 AND t.expires_at > ?3 AND u.disabled_at IS NULL";
    tx.one(
        Sql::from(sql).for_update("u, t"),
        params![hash, purpose.as_str(), tx.now()],
        |row| row.get(0),
    )
}

/// Makes every link of that purpose useless.
pub(in crate::domain::accounts) fn delete_of(
    tx: &mut Tx<'_>,
    user: UserId,
    purpose: Purpose,
) -> Result<()> {
    tx.execute(
        "DELETE FROM link_tokens WHERE user_id = ?1 AND purpose = ?2",
        params![user, purpose.as_str()],
    )?;
    Ok(())
}

pub(in crate::domain::accounts) fn forget(tx: &mut Tx<'_>) -> Result<u64> {
    tx.execute(
        "DELETE FROM link_tokens WHERE expires_at <= ?1",
        params![tx.now()],
    )
}
