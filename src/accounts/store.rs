//! Accounts and sessions as rows.

use super::{PasswordHash, Role, User, Visitor};
use crate::{
    args,
    clock::Timestamp,
    db::{Row, Sql, Tx},
    error::{Error, Result},
    id::{SessionId, UserId},
};

/// Tells whether the address was free.
pub(super) fn insert(tx: &mut Tx<'_>, user: &User, key: &str, hash: &str) -> Result<bool> {
    let made = tx.execute(
        "INSERT INTO users (id, email, email_key, password_hash, name, role, email_verified,
                            phone, phone_verified, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, NULL, 0, ?8)
         ON CONFLICT (email_key) DO NOTHING",
        args![
            user.id,
            &user.email,
            key,
            hash,
            &user.name,
            user.role.as_str(),
            user.is_email_verified,
            user.created_at
        ],
    )?;
    Ok(made == 1)
}

pub(super) fn by_id(tx: &mut Tx<'_>, id: UserId) -> Result<Option<User>> {
    tx.one(&format!("SELECT {COLUMNS} WHERE id = ?1"), args![id], user)
}

pub(super) fn by_email(tx: &mut Tx<'_>, key: &str) -> Result<Option<User>> {
    tx.one(
        &format!("SELECT {COLUMNS} WHERE email_key = ?1"),
        args![key],
        user,
    )
}

pub(super) fn list(tx: &mut Tx<'_>) -> Result<Vec<User>> {
    tx.all(
        &format!("SELECT {COLUMNS} ORDER BY created_at, id"),
        &[],
        user,
    )
}

/// What [`user`] reads.
const COLUMNS: &str = "id, email, name, role, email_verified, phone, phone_verified, created_at
    FROM users";

fn user(row: &Row<'_>) -> Result<User> {
    Ok(User {
        id: row.get(0)?,
        email: row.get(1)?,
        name: row.get(2)?,
        role: role(row.get(3)?)?,
        is_email_verified: row.get(4)?,
        phone: row.get(5)?,
        is_phone_verified: row.get(6)?,
        created_at: row.get(7)?,
    })
}

fn role(text: &str) -> Result<Role> {
    Role::parse(text).ok_or_else(|| Error::internal(format!("a stored role is `{text}`")))
}

pub(super) fn credentials(tx: &mut Tx<'_>, key: &str) -> Result<Option<(UserId, PasswordHash)>> {
    tx.one(
        "SELECT id, password_hash FROM users WHERE email_key = ?1",
        args![key],
        |row| Ok((row.get(0)?, PasswordHash::stored(row.get(1)?))),
    )
}

/// Counts a try as a wrong one; tells whether there was room for it among those since `window`.
pub(super) fn count_try(
    tx: &mut Tx<'_>,
    address: &[u8],
    window: Timestamp,
    most: i64,
) -> Result<bool> {
    // A clock that was set back opens a new window.
    let counted = tx.execute(
        "INSERT INTO login_tries (address, since, wrong) VALUES (?1, ?2, 1)
         ON CONFLICT (address) DO UPDATE SET
             wrong = CASE WHEN login_tries.since BETWEEN ?3 AND excluded.since
                          THEN login_tries.wrong + 1 ELSE 1 END,
             since = CASE WHEN login_tries.since BETWEEN ?3 AND excluded.since
                          THEN login_tries.since ELSE excluded.since END
         WHERE login_tries.wrong < ?4
             OR login_tries.since NOT BETWEEN ?3 AND excluded.since",
        args![address, tx.now(), window, most],
    )?;
    Ok(counted == 1)
}

/// When the window of an address began.
pub(super) fn tries_since(tx: &mut Tx<'_>, address: &[u8]) -> Result<Option<Timestamp>> {
    tx.one(
        "SELECT since FROM login_tries WHERE address = ?1",
        args![address],
        |row| row.get(0),
    )
}

/// Takes a try back that was right.
pub(super) fn forgive_try(tx: &mut Tx<'_>, address: &[u8]) -> Result<()> {
    tx.execute(
        "UPDATE login_tries SET wrong = wrong - 1 WHERE address = ?1 AND wrong > 0",
        args![address],
    )?;
    Ok(())
}

pub(super) fn forget_tries(tx: &mut Tx<'_>, before: Timestamp) -> Result<u64> {
    tx.execute("DELETE FROM login_tries WHERE since < ?1", args![before])
}

pub(super) fn set_password(tx: &mut Tx<'_>, id: UserId, hash: &str) -> Result<()> {
    tx.execute(
        "UPDATE users SET password_hash = ?2 WHERE id = ?1",
        args![id, hash],
    )?;
    Ok(())
}

pub(super) fn set_role(tx: &mut Tx<'_>, id: UserId, role: Role) -> Result<()> {
    tx.execute(
        "UPDATE users SET role = ?2 WHERE id = ?1",
        args![id, role.as_str()],
    )?;
    Ok(())
}

pub(super) fn admins(tx: &mut Tx<'_>) -> Result<usize> {
    let sql = "SELECT id FROM users WHERE role = 'ADMIN' ORDER BY id";
    let admins = tx.all(Sql::from(sql).locking("users"), &[], |_| Ok(()))?;
    Ok(admins.len())
}

pub(super) fn insert_session(
    tx: &mut Tx<'_>,
    id: SessionId,
    user: UserId,
    refresh_hash: &[u8],
    expires: Timestamp,
) -> Result<()> {
    tx.execute(
        "INSERT INTO sessions (id, user_id, refresh_hash, created_at, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5)",
        args![id, user, refresh_hash, tx.now(), expires],
    )?;
    Ok(())
}

/// Replaces the hash of a session that stands; of two at once, one finds it.
pub(super) fn rotate_session(
    tx: &mut Tx<'_>,
    spent: &[u8],
    fresh: &[u8],
    expires: Timestamp,
) -> Result<Option<(SessionId, UserId)>> {
    tx.one(
        "UPDATE sessions SET refresh_hash = ?2, expires_at = ?3
         WHERE refresh_hash = ?1 AND expires_at > ?4
         RETURNING id, user_id",
        args![spent, fresh, expires, tx.now()],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

pub(super) fn delete_session(tx: &mut Tx<'_>, refresh_hash: &[u8]) -> Result<()> {
    tx.execute(
        "DELETE FROM sessions WHERE refresh_hash = ?1",
        args![refresh_hash],
    )?;
    Ok(())
}

pub(super) fn delete_sessions_of(tx: &mut Tx<'_>, user: UserId) -> Result<()> {
    tx.execute("DELETE FROM sessions WHERE user_id = ?1", args![user])?;
    Ok(())
}

/// Finds the user of the session `?1`, if it stands at `?2` and is that of `?3`; also a part of
/// statements that are whole operations.
pub const STANDING: &str = "SELECT u.id, u.role FROM sessions s JOIN users u ON u.id = s.user_id
    WHERE s.id = ?1 AND s.expires_at > ?2 AND u.id = ?3";

pub(super) fn visitor(
    tx: &mut Tx<'_>,
    session: SessionId,
    user: UserId,
) -> Result<Option<Visitor>> {
    // What one account does at once is done one after the other: its cart, its orders, its keys. The
    // session is held too, or one that ended during the wait would still be found.
    tx.one(
        Sql::from(STANDING).locking("u, s"),
        args![session, tx.now(), user],
        |row| {
            Ok(Visitor {
                user: row.get(0)?,
                role: role(row.get(1)?)?,
            })
        },
    )
}
