//! The `settings` table: values that belong to the database rather than to a configuration file, such as the
//! currency and shared secrets.

use super::{Sql, Tx};
use crate::{
    core::error::{Error, Result},
    infra::db::params,
};

/// Stores a setting, unless it is set already. Returns whether it was stored.
pub fn insert_setting(tx: &mut Tx<'_>, name: &str, value: &str) -> Result<bool> {
    let inserted = tx.execute(
        "INSERT INTO settings (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING",
        params![name, value],
    )?;
    Ok(inserted == 1)
}

/// Returns the value of a setting. If it is not set yet, stores and returns `initial`.
pub fn setting(tx: &mut Tx<'_>, name: &str, initial: &str) -> Result<String> {
    insert_setting(tx, name, initial)?;
    find_setting(tx, name)?.ok_or_else(|| Error::internal("the setting was not stored"))
}

/// Returns the value of a setting, or `None` if it is not set.
pub fn find_setting(tx: &mut Tx<'_>, name: &str) -> Result<Option<String>> {
    tx.one(
        "SELECT value FROM settings WHERE name = ?1",
        params![name],
        |row| row.get("value"),
    )
}

/// Like [`setting`], and locks the row until the end of the transaction.
pub fn setting_for_update(tx: &mut Tx<'_>, name: &str, initial: &str) -> Result<String> {
    setting(tx, name, initial)?;
    let sql = Sql::from("SELECT value FROM settings WHERE name = ?1").for_update("settings");
    tx.one(sql, params![name], |row| row.get("value"))?
        .ok_or_else(|| Error::internal("the setting was not stored"))
}

/// Updates an existing setting.
pub fn set_setting(tx: &mut Tx<'_>, name: &str, value: &str) -> Result<()> {
    let sql = "UPDATE settings SET value = ?2 WHERE name = ?1";
    tx.execute(sql, params![name, value]).map(drop)
}

/// Deletes a setting. Returns whether it was set.
pub fn delete_setting(tx: &mut Tx<'_>, name: &str) -> Result<bool> {
    let deleted = tx.execute("DELETE FROM settings WHERE name = ?1", params![name])?;
    Ok(deleted == 1)
}

/// Increments a counter stored as a setting. Returns the new value; the first is 1.
pub fn count_up(tx: &mut Tx<'_>, name: &str) -> Result<i64> {
    tx.execute(
        "INSERT INTO settings (name, value) VALUES (?1, '1') ON CONFLICT (name) DO UPDATE
         SET value = CAST(CAST(settings.value AS BIGINT) + 1 AS TEXT)",
        params![name],
    )?;
    let sql = "SELECT CAST(value AS BIGINT) AS count FROM settings WHERE name = ?1";
    let number = tx.one(sql, params![name], |row| row.get("count"))?;
    number.ok_or_else(|| Error::internal("the counter was not stored"))
}
