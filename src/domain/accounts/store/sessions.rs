//! Sessions as rows, and the refresh tokens that they have spent.

use crate::{
    core::{
        clock::Timestamp,
        error::Result,
        id::{SessionId, UserId},
    },
    domain::accounts::{CurrentUser, Session},
    infra::db::{Sql, Tx, params},
};

pub(in crate::domain::accounts) fn insert(
    tx: &mut Tx<'_>,
    id: SessionId,
    user: UserId,
    refresh_hash: &[u8],
    expires: Timestamp,
) -> Result<()> {
    tx.execute(
        "INSERT INTO sessions (id, user_id, refresh_hash, created_at, expires_at, generation)
         VALUES (?1, ?2, ?3, ?4, ?5, 0)",
        params![id, user, refresh_hash, tx.now(), expires],
    )?;
    Ok(())
}

/// The sessions of an account that stand, newest first.
pub(in crate::domain::accounts) fn of(tx: &mut Tx<'_>, user: UserId) -> Result<Vec<Session>> {
    tx.all(
        "SELECT s.created_at, s.expires_at,
                (SELECT max(t.spent_at) FROM spent_refresh_tokens t WHERE t.session_id = s.id)
         FROM sessions s WHERE s.user_id = ?1 AND s.expires_at > ?2
         ORDER BY s.created_at DESC, s.id DESC",
        params![user, tx.now()],
        |row| {
            Ok(Session {
                signed_in_at: row.get(0)?,
                expires_at: row.get(1)?,
                refreshed_at: row.get(2)?,
            })
        },
    )
}

/// Replaces the hash of a session that stands, and keeps the spent one; of two at once, one finds it.
pub(in crate::domain::accounts) fn rotate(
    tx: &mut Tx<'_>,
    spent: &[u8],
    fresh: &[u8],
    expires: Timestamp,
) -> Result<Option<(SessionId, UserId)>> {
    let rotated = tx.one(
        "UPDATE sessions SET refresh_hash = ?2, expires_at = ?3, generation = generation + 1
         WHERE refresh_hash = ?1 AND expires_at > ?4
         RETURNING id, user_id, generation",
        params![spent, fresh, expires, tx.now()],
        |row| Ok((row.get(0)?, row.get(1)?, row.get::<i64>(2)?)),
    )?;
    let Some((session, user, generation)) = rotated else {
        return Ok(None);
    };
    tx.execute(
        "INSERT INTO spent_refresh_tokens (hash, session_id, generation, spent_at)
         VALUES (?1, ?2, ?3, ?4)",
        params![spent, session, generation - 1, tx.now()],
    )?;
    Ok(Some((session, user)))
}

/// What is known of a spent refresh token.
pub(in crate::domain::accounts) struct Spent {
    pub(in crate::domain::accounts) session: SessionId,
    pub(in crate::domain::accounts) at: Timestamp,
    /// Whether the one that came in its place was spent as well.
    pub(in crate::domain::accounts) is_succeeded: bool,
}

pub(in crate::domain::accounts) fn spent(tx: &mut Tx<'_>, hash: &[u8]) -> Result<Option<Spent>> {
    let sql = "SELECT s.id, t.spent_at, s.generation - t.generation
         FROM spent_refresh_tokens t JOIN sessions s ON s.id = t.session_id WHERE t.hash = ?1";
    tx.one(Sql::from(sql).for_update("s"), params![hash], |row| {
        Ok(Spent {
            session: row.get(0)?,
            at: row.get(1)?,
            is_succeeded: row.get::<i64>(2)? > 1,
        })
    })
}

pub(in crate::domain::accounts) fn delete(tx: &mut Tx<'_>, session: SessionId) -> Result<()> {
    tx.execute("DELETE FROM sessions WHERE id = ?1", params![session])?;
    Ok(())
}

/// Ends the session that this refresh token belongs to, spent or not.
pub(in crate::domain::accounts) fn delete_by_token(tx: &mut Tx<'_>, hash: &[u8]) -> Result<()> {
    tx.execute(
        "DELETE FROM sessions WHERE refresh_hash = ?1
             OR id = (SELECT session_id FROM spent_refresh_tokens WHERE hash = ?1)",
        params![hash],
    )?;
    Ok(())
}

/// Ends the sessions of an account, one aside.
pub(in crate::domain::accounts) fn delete_of(
    tx: &mut Tx<'_>,
    user: UserId,
    but: Option<SessionId>,
) -> Result<()> {
    match but {
        None => tx.execute("DELETE FROM sessions WHERE user_id = ?1", params![user])?,
        Some(session) => tx.execute(
            "DELETE FROM sessions WHERE user_id = ?1 AND id <> ?2",
            params![user, session],
        )?,
    };
    Ok(())
}

/// Forgets the sessions that have ended by time, and tokens that were spent before `spent`.
pub(in crate::domain::accounts) fn forget(tx: &mut Tx<'_>, spent: Timestamp) -> Result<u64> {
    tx.execute(
        "DELETE FROM spent_refresh_tokens WHERE spent_at < ?1",
        params![spent],
    )?;
    tx.execute(
        "DELETE FROM sessions WHERE expires_at <= ?1",
        params![tx.now()],
    )
}

/// Finds the user of the session `?1`, if it stands at `?2` and is that of `?3`; also a part of
/// statements that are whole operations.
pub const ACTIVE_SESSION: &str =
    "SELECT u.id, u.role FROM sessions s JOIN users u ON u.id = s.user_id
    WHERE s.id = ?1 AND s.expires_at > ?2 AND u.id = ?3";

pub(in crate::domain::accounts) fn current_user(
    tx: &mut Tx<'_>,
    session: SessionId,
    user: UserId,
) -> Result<Option<CurrentUser>> {
    // What one account does at once is done one after the other: its cart, its orders, its keys. The
    // session is held too, or one that ended during the wait would still be found.
    tx.one(
        Sql::from(ACTIVE_SESSION).for_update("u, s"),
        params![session, tx.now(), user],
        |row| {
            Ok(CurrentUser {
                user: row.get(0)?,
                role: super::role(row.get(1)?)?,
            })
        },
    )
}
