//! The table `known_networks`: networks as keyed hashes.

use crate::{
    core::{clock::Timestamp, error::Result, id::UserId},
    infra::db::{Tx, params},
};

pub(in crate::domain::accounts) fn upsert(
    tx: &mut Tx<'_>,
    user: UserId,
    network: &[u8],
) -> Result<()> {
    tx.execute(
        "INSERT INTO known_networks (user_id, network, seen_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (user_id, network) DO UPDATE SET seen_at = excluded.seen_at",
        params![user, network, tx.now()],
    )?;
    Ok(())
}

/// Whether the account with this email key was used from the network since this time.
pub(in crate::domain::accounts) fn is_known(
    tx: &mut Tx<'_>,
    email_key: &str,
    network: &[u8],
    since: Timestamp,
) -> Result<bool> {
    let found = tx.one(
        "SELECT 1 FROM users u JOIN known_networks n ON n.user_id = u.id
         WHERE u.email_key = ?1 AND n.network = ?2 AND n.seen_at >= ?3",
        params![email_key, network, since],
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

pub(in crate::domain::accounts) fn delete_of_user(tx: &mut Tx<'_>, user: UserId) -> Result<()> {
    tx.execute(
        "DELETE FROM known_networks WHERE user_id = ?1",
        params![user],
    )?;
    Ok(())
}

pub(in crate::domain::accounts) fn delete_before(tx: &mut Tx<'_>, before: Timestamp) -> Result<()> {
    tx.execute(
        "DELETE FROM known_networks WHERE seen_at < ?1",
        params![before],
    )?;
    Ok(())
}
