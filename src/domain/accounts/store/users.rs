//! The table `users`.

use crate::{
    core::{
        clock::Timestamp,
        error::Result,
        id::UserId,
        pagination::{COUNTED_UP_TO, Page, PageRequest, Total},
    },
    domain::accounts::{
        password::PasswordHash,
        user::{Role, User},
    },
    infra::db::{Prefetched, Row, Sql, Tx, Value, params},
};

/// Inserts an account. Returns `false` if the email address is taken.
pub(in crate::domain::accounts) fn insert(
    tx: &mut Tx<'_>,
    user: &User,
    key: &str,
    hash: &str,
) -> Result<bool> {
    let inserted = tx.execute(
        "INSERT INTO users (id, email, email_key, password_hash, name, role, email_verified,
                            phone, phone_verified, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, NULL, 0, ?8)
         ON CONFLICT (email_key) DO NOTHING",
        params![
            user.id,
            &user.email,
            key,
            hash,
            &user.name,
            user.role,
            user.is_email_verified,
            user.created_at
        ],
    )?;
    Ok(inserted == 1)
}

pub(in crate::domain::accounts) fn by_id(tx: &mut Tx<'_>, id: UserId) -> Result<Option<User>> {
    let sql = format!("SELECT {COLUMNS} FROM users WHERE id = ?1");
    tx.one(&sql, params![id], user)
}

pub(in crate::domain::accounts) fn prefetch_email_and_name(
    tx: &mut Tx<'_>,
    id: UserId,
) -> Result<Prefetched<Option<(String, String)>>> {
    tx.prefetch_one(
        "SELECT email, name FROM users WHERE id = ?1",
        params![id],
        |row| Ok((row.get("email")?, row.get("name")?)),
    )
}

pub(in crate::domain::accounts) fn by_email(tx: &mut Tx<'_>, key: &str) -> Result<Option<User>> {
    let sql = format!("SELECT {COLUMNS} FROM users WHERE email_key = ?1");
    tx.one(&sql, params![key], user)
}

/// Like [`by_email`], for an enabled account, and locks it until commit.
pub(in crate::domain::accounts) fn lock_enabled_by_email(
    tx: &mut Tx<'_>,
    key: &str,
) -> Result<Option<User>> {
    let sql = format!("SELECT {COLUMNS} FROM users WHERE email_key = ?1 AND disabled_at IS NULL");
    tx.one(Sql::from(&sql).for_update("users"), params![key], user)
}

pub(in crate::domain::accounts) fn disabled_at(
    tx: &mut Tx<'_>,
    id: UserId,
) -> Result<Option<Timestamp>> {
    let sql = "SELECT disabled_at FROM users WHERE id = ?1";
    tx.one(sql, params![id], |row| row.get("disabled_at"))
        .map(Option::flatten)
}

/// Returns all accounts, oldest first, each with whether it is disabled.
pub(in crate::domain::accounts) fn all(tx: &mut Tx<'_>) -> Result<Vec<(User, bool)>> {
    let sql = format!("SELECT {COLUMNS}, disabled_at FROM users ORDER BY created_at, id");
    tx.all(&sql, &[], |row| {
        let disabled_at: Option<i64> = row.get("disabled_at")?;
        Ok((user(row)?, disabled_at.is_some()))
    })
}

/// Returns one page of accounts, oldest first, or only the account with this email key.
pub(in crate::domain::accounts) fn list(
    tx: &mut Tx<'_>,
    key: Option<&str>,
    page: PageRequest,
) -> Result<Page<User>> {
    const SELECTED: &str = "FROM users WHERE CAST(?1 AS TEXT) IS NULL OR email_key = ?1";
    let sql = format!(
        "SELECT count(*) AS total FROM (SELECT 1 {SELECTED} LIMIT {}) AS counted",
        COUNTED_UP_TO + 1
    );
    let total = tx.one(&sql, params![key], |row| row.get("total"))?;
    let sql = format!("SELECT {COLUMNS} {SELECTED} ORDER BY created_at, id LIMIT ?2 OFFSET ?3");
    let users = tx.all(&sql, params![key, page.limit, page.offset()], user)?;
    Ok(Page::new(
        page,
        users,
        Total::counted(total.unwrap_or_default()),
    ))
}

/// The columns that [`user`] reads.
const COLUMNS: &str = "id, email, name, role, email_verified, phone, phone_verified, created_at";

fn user(row: &Row<'_>) -> Result<User> {
    Ok(User {
        id: row.get("id")?,
        email: row.get("email")?,
        name: row.get("name")?,
        role: row.get("role")?,
        is_email_verified: row.get("email_verified")?,
        phone: row.get("phone")?,
        is_phone_verified: row.get("phone_verified")?,
        created_at: row.get("created_at")?,
    })
}

/// Returns the enabled account with this email key and its password hash.
pub(in crate::domain::accounts) fn credentials(
    tx: &mut Tx<'_>,
    key: &str,
) -> Result<Option<(UserId, PasswordHash)>> {
    tx.one(
        "SELECT id, password_hash FROM users WHERE email_key = ?1 AND disabled_at IS NULL",
        params![key],
        |row| Ok((row.get("id")?, row.get("password_hash")?)),
    )
}

/// Returns the password hash of an enabled account, and locks the account until commit.
pub(in crate::domain::accounts) fn lock_password(
    tx: &mut Tx<'_>,
    id: UserId,
) -> Result<Option<PasswordHash>> {
    let sql = "SELECT password_hash FROM users WHERE id = ?1 AND disabled_at IS NULL";
    tx.one(Sql::from(sql).for_update("users"), params![id], |row| {
        row.get("password_hash")
    })
}

pub(in crate::domain::accounts) fn set_password(
    tx: &mut Tx<'_>,
    id: UserId,
    hash: &str,
) -> Result<()> {
    set(tx, id, "password_hash", Value::Text(hash))
}

pub(in crate::domain::accounts) fn set_role(tx: &mut Tx<'_>, id: UserId, role: Role) -> Result<()> {
    set(tx, id, "role", Value::from(role))
}

pub(in crate::domain::accounts) fn set_name(tx: &mut Tx<'_>, id: UserId, name: &str) -> Result<()> {
    set(tx, id, "name", Value::Text(name))
}

pub(in crate::domain::accounts) fn set_email_verified(tx: &mut Tx<'_>, id: UserId) -> Result<()> {
    set(tx, id, "email_verified", Value::from(true))
}

pub(in crate::domain::accounts) fn set_disabled(
    tx: &mut Tx<'_>,
    id: UserId,
    disabled: bool,
) -> Result<()> {
    let disabled_at = disabled.then(|| tx.now());
    set(tx, id, "disabled_at", Value::from(disabled_at))
}

fn set(tx: &mut Tx<'_>, id: UserId, column: &'static str, value: Value<'_>) -> Result<()> {
    let sql = format!("UPDATE users SET {column} = ?2 WHERE id = ?1");
    tx.execute(&sql, &[Value::from(id), value])?;
    Ok(())
}

/// Returns the enabled admins and locks them until commit, in id order to avoid deadlocks.
pub(in crate::domain::accounts) fn lock_admins(tx: &mut Tx<'_>) -> Result<Vec<UserId>> {
    let sql = "SELECT id FROM users WHERE role = 'ADMIN' AND disabled_at IS NULL ORDER BY id";
    tx.all(Sql::from(sql).for_update("users"), &[], |row| row.get("id"))
}
