//! The tables `sessions` and `spent_refresh_tokens`.

use crate::{
    core::{
        clock::Timestamp,
        error::Result,
        id::{SessionId, UserId},
    },
    domain::accounts::session::{CurrentUser, Session},
    infra::db::{Prefetched, Sql, Tx, params},
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

/// Returns the active sessions of an account, newest first.
pub(in crate::domain::accounts) fn active_of_user(
    tx: &mut Tx<'_>,
    user: UserId,
) -> Result<Vec<Session>> {
    tx.all(
        "SELECT s.created_at, s.expires_at,
                (SELECT max(t.spent_at) FROM spent_refresh_tokens t WHERE t.session_id = s.id)
                    AS refreshed_at
         FROM sessions s WHERE s.user_id = ?1 AND s.expires_at > ?2
         ORDER BY s.created_at DESC, s.id DESC",
        params![user, tx.now()],
        |row| {
            Ok(Session {
                signed_in_at: row.get("created_at")?,
                expires_at: row.get("expires_at")?,
                refreshed_at: row.get("refreshed_at")?,
            })
        },
    )
}

/// Replaces the refresh token of an active session and records the old one as spent. Only one of two
/// concurrent calls succeeds; the other returns `None`.
pub(in crate::domain::accounts) fn rotate(
    tx: &mut Tx<'_>,
    old_hash: &[u8],
    new_hash: &[u8],
    expires: Timestamp,
) -> Result<Option<(SessionId, UserId)>> {
    let rotated = tx.one(
        "UPDATE sessions SET refresh_hash = ?2, expires_at = ?3, generation = generation + 1
         WHERE refresh_hash = ?1 AND expires_at > ?4
         RETURNING id, user_id, generation",
        params![old_hash, new_hash, expires, tx.now()],
        |row| {
            Ok((
                row.get("id")?,
                row.get("user_id")?,
                row.get::<i64>("generation")?,
            ))
        },
    )?;
    let Some((session, user, generation)) = rotated else {
        return Ok(None);
    };
    tx.execute(
        "INSERT INTO spent_refresh_tokens (hash, session_id, generation, spent_at)
         VALUES (?1, ?2, ?3, ?4)",
        params![old_hash, session, generation - 1, tx.now()],
    )?;
    Ok(Some((session, user)))
}

/// A refresh token that was spent, of a session that still exists.
pub(in crate::domain::accounts) struct SpentToken {
    pub(in crate::domain::accounts) session: SessionId,
    pub(in crate::domain::accounts) spent_at: Timestamp,
    /// Whether the token that replaced it was spent as well.
    pub(in crate::domain::accounts) is_successor_spent: bool,
}

/// Finds a spent refresh token and locks its session.
pub(in crate::domain::accounts) fn spent_token(
    tx: &mut Tx<'_>,
    hash: &[u8],
) -> Result<Option<SpentToken>> {
    let sql = "SELECT s.id, t.spent_at, s.generation - t.generation AS generations_since
         FROM spent_refresh_tokens t JOIN sessions s ON s.id = t.session_id WHERE t.hash = ?1";
    tx.one(Sql::from(sql).for_update("s"), params![hash], |row| {
        Ok(SpentToken {
            session: row.get("id")?,
            spent_at: row.get("spent_at")?,
            is_successor_spent: row.get::<i64>("generations_since")? > 1,
        })
    })
}

pub(in crate::domain::accounts) fn delete(tx: &mut Tx<'_>, session: SessionId) -> Result<()> {
    tx.execute("DELETE FROM sessions WHERE id = ?1", params![session])?;
    Ok(())
}

/// Deletes the session that a refresh token belongs to, whether or not it was spent.
pub(in crate::domain::accounts) fn delete_by_token(tx: &mut Tx<'_>, hash: &[u8]) -> Result<()> {
    tx.execute(
        "DELETE FROM sessions WHERE refresh_hash = ?1
             OR id = (SELECT session_id FROM spent_refresh_tokens WHERE hash = ?1)",
        params![hash],
    )?;
    Ok(())
}

/// Deletes all sessions of an account except `except`.
pub(in crate::domain::accounts) fn delete_of_user(
    tx: &mut Tx<'_>,
    user: UserId,
    except: Option<SessionId>,
) -> Result<()> {
    match except {
        None => tx.execute("DELETE FROM sessions WHERE user_id = ?1", params![user])?,
        Some(session) => tx.execute(
            "DELETE FROM sessions WHERE user_id = ?1 AND id <> ?2",
            params![user, session],
        )?,
    };
    Ok(())
}

/// Deletes refresh tokens that were spent before `spent_before`, and expired sessions.
pub(in crate::domain::accounts) fn delete_expired(
    tx: &mut Tx<'_>,
    spent_before: Timestamp,
) -> Result<()> {
    tx.execute(
        "DELETE FROM spent_refresh_tokens WHERE spent_at < ?1",
        params![spent_before],
    )?;
    tx.execute(
        "DELETE FROM sessions WHERE expires_at <= ?1",
        params![tx.now()],
    )?;
    Ok(())
}

/// Selects the user `?3` of the session `?1` if the session is active at the time `?2`.
const ACTIVE_SESSION: &str = "SELECT u.id, u.role FROM sessions s JOIN users u ON u.id = s.user_id
    WHERE s.id = ?1 AND s.expires_at > ?2 AND u.id = ?3";

pub(in crate::domain::accounts) fn prefetch_current_user(
    tx: &mut Tx<'_>,
    session: SessionId,
    user: UserId,
) -> Result<Prefetched<Option<CurrentUser>>> {
    // Locks the user, which serializes concurrent requests of one account: its cart, orders and idempotency
    // keys. Locks the session as well, so that one that ended during the wait is not found.
    tx.prefetch_one(
        Sql::from(ACTIVE_SESSION).for_update("u, s"),
        params![session, tx.now(), user],
        |row| {
            Ok(CurrentUser {
                id: row.get("id")?,
                role: row.get("role")?,
            })
        },
    )
}
