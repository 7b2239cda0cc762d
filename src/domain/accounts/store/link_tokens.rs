//! The table `link_tokens`: the tokens of links in emails, as hashes.

use crate::{
    core::{clock::Timestamp, error::Result, id::UserId},
    domain::accounts::link_purpose::LinkPurpose,
    infra::db::{Sql, Tx, params},
};

pub(in crate::domain::accounts) fn insert(
    tx: &mut Tx<'_>,
    hash: &[u8],
    user: UserId,
    purpose: LinkPurpose,
    expires: Timestamp,
) -> Result<()> {
    tx.execute(
        "INSERT INTO link_tokens (hash, user_id, purpose, expires_at) VALUES (?1, ?2, ?3, ?4)",
        params![hash, user, purpose, expires],
    )?;
    Ok(())
}

/// Returns the account of a valid token if the account is enabled, and locks both until commit.
pub(in crate::domain::accounts) fn user(
    tx: &mut Tx<'_>,
    hash: &[u8],
    purpose: LinkPurpose,
) -> Result<Option<UserId>> {
    let sql = "SELECT t.user_id FROM link_tokens t JOIN users u ON u.id = t.user_id
         WHERE t.hash = ?1 AND t.purpose = ?2 AND t.expires_at > ?3 AND u.disabled_at IS NULL";
    tx.one(
        Sql::from(sql).for_update("u, t"),
        params![hash, purpose, tx.now()],
        |row| row.get("user_id"),
    )
}

/// Deletes all tokens of an account with this purpose.
pub(in crate::domain::accounts) fn delete_of_user(
    tx: &mut Tx<'_>,
    user: UserId,
    purpose: LinkPurpose,
) -> Result<()> {
    tx.execute(
        "DELETE FROM link_tokens WHERE user_id = ?1 AND purpose = ?2",
        params![user, purpose],
    )?;
    Ok(())
}

pub(in crate::domain::accounts) fn delete_expired(tx: &mut Tx<'_>) -> Result<()> {
    tx.execute(
        "DELETE FROM link_tokens WHERE expires_at <= ?1",
        params![tx.now()],
    )?;
    Ok(())
}
