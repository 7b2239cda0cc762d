//! Accounts as rows; sessions, links, phones and counted attempts beside them.

pub(super) mod attempts;
pub(super) mod links;
pub(super) mod networks;
pub(super) mod phones;
pub(super) mod sessions;

use super::{PasswordHash, Role, User};
use crate::{
    core::{
        clock::Timestamp,
        error::{Error, Result},
        id::UserId,
        pagination::{COUNTED_UP_TO, Page, PageRequest, Total},
    },
    infra::db::{Row, Sql, Tx, Value, params},
};

/// Tells whether the address was free.
pub(super) fn insert(tx: &mut Tx<'_>, user: &User, key: &str, hash: &str) -> Result<bool> {
    let made = tx.execute(
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
            user.role.as_str(),
            user.is_email_verified,
            user.created_at
        ],
    )?;
    Ok(made == 1)
}

pub(super) fn by_id(tx: &mut Tx<'_>, id: UserId) -> Result<Option<User>> {
    let sql = format!("SELECT {COLUMNS} FROM users WHERE id = ?1");
    tx.one(&sql, params![id], user)
}

/// Where to write to somebody, and their name.
pub(super) fn address(tx: &mut Tx<'_>, id: UserId) -> Result<Option<(String, String)>> {
    tx.one(
        "SELECT email, name FROM users WHERE id = ?1",
        params![id],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

pub(super) fn by_email(tx: &mut Tx<'_>, key: &str) -> Result<Option<User>> {
    let sql = format!("SELECT {COLUMNS} FROM users WHERE email_key = ?1");
    tx.one(&sql, params![key], user)
}

/// As [`by_email`], for an account that may be used, and nobody changes it before the transaction ends.
pub(super) fn enabled_by_email(tx: &mut Tx<'_>, key: &str) -> Result<Option<User>> {
    let sql = format!("SELECT {COLUMNS} FROM users WHERE email_key = ?1 AND disabled_at IS NULL");
    tx.one(Sql::from(&sql).for_update("users"), params![key], user)
}

pub(super) fn disabled_at(tx: &mut Tx<'_>, id: UserId) -> Result<Option<Timestamp>> {
    let sql = "SELECT disabled_at FROM users WHERE id = ?1";
    tx.one(sql, params![id], |row| row.get(0))
        .map(Option::flatten)
}

/// All accounts, oldest first.
pub(super) fn all(tx: &mut Tx<'_>) -> Result<Vec<(User, bool)>> {
    let sql = format!("SELECT {COLUMNS}, disabled_at FROM users ORDER BY created_at, id");
    tx.all(&sql, &[], |row| {
        let disabled_at: Option<i64> = row.get(8)?;
        Ok((user(row)?, disabled_at.is_some()))
    })
}

/// One page of accounts, oldest first, or the one with that address.
pub(super) fn list(tx: &mut Tx<'_>, key: Option<&str>, page: PageRequest) -> Result<Page<User>> {
    const CHOSEN: &str = "FROM users WHERE CAST(?1 AS TEXT) IS NULL OR email_key = ?1";
    let sql = format!(
        "SELECT count(*) FROM (SELECT 1 {CHOSEN} LIMIT {}) AS counted",
        COUNTED_UP_TO + 1
    );
    let total = tx.one(&sql, params![key], |row| row.get(0))?;
    let sql = format!("SELECT {COLUMNS} {CHOSEN} ORDER BY created_at, id LIMIT ?2 OFFSET ?3");
    let users = tx.all(&sql, params![key, page.limit, page.offset()], user)?;
    Ok(Page::new(
        page,
        users,
        Total::counted(total.unwrap_or_default()),
    ))
}

/// What [`user`] reads.
const COLUMNS: &str = "id, email, name, role, email_verified, phone, phone_verified, created_at";

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

/// The account that may sign in with that address, and the hash of its password.
pub(super) fn credentials(tx: &mut Tx<'_>, key: &str) -> Result<Option<(UserId, PasswordHash)>> {
    tx.one(
        "SELECT id, password_hash FROM users WHERE email_key = ?1 AND disabled_at IS NULL",
        params![key],
        |row| Ok((row.get(0)?, PasswordHash::stored(row.get(1)?))),
    )
}

/// The hash of an account's password, which nobody changes before the transaction ends.
pub(super) fn password(tx: &mut Tx<'_>, id: UserId) -> Result<Option<PasswordHash>> {
    let sql = "SELECT password_hash FROM users WHERE id = ?1 AND disabled_at IS NULL";
    tx.one(Sql::from(sql).for_update("users"), params![id], |row| {
        Ok(PasswordHash::stored(row.get(0)?))
    })
}

pub(super) fn set_password(tx: &mut Tx<'_>, id: UserId, hash: &str) -> Result<()> {
    set(tx, id, "password_hash", Value::Text(hash))
}

pub(super) fn set_role(tx: &mut Tx<'_>, id: UserId, role: Role) -> Result<()> {
    set(tx, id, "role", Value::Text(role.as_str()))
}

pub(super) fn set_name(tx: &mut Tx<'_>, id: UserId, name: &str) -> Result<()> {
    set(tx, id, "name", Value::Text(name))
}

pub(super) fn set_email_verified(tx: &mut Tx<'_>, id: UserId) -> Result<()> {
    set(tx, id, "email_verified", Value::from(true))
}

pub(super) fn set_disabled(tx: &mut Tx<'_>, id: UserId, disabled: bool) -> Result<()> {
    let moment = disabled.then(|| tx.now());
    set(tx, id, "disabled_at", Value::from(moment))
}

fn set(tx: &mut Tx<'_>, id: UserId, column: &'static str, value: Value<'_>) -> Result<()> {
    let sql = format!("UPDATE users SET {column} = ?2 WHERE id = ?1");
    tx.execute(&sql, &[Value::from(id), value])?;
    Ok(())
}

/// The admins that can sign in, in an order in which two who ask do not wait for each other; none of
/// them changes before the transaction ends.
pub(super) fn admins(tx: &mut Tx<'_>) -> Result<Vec<UserId>> {
    let sql = "SELECT id FROM users WHERE role = 'ADMIN' AND disabled_at IS NULL ORDER BY id";
    tx.all(Sql::from(sql).for_update("users"), &[], |row| row.get(0))
}
