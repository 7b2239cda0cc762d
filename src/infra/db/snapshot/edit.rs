//! Changes to a snapshot, before it is archived and before it is restored.

use std::path::Path;

use super::facts::has_column;
use crate::{
    core::{clock::Timestamp, error::Result},
    infra::db::{
        Connection, Location, Sql, params,
        sqlite::{self, failure},
    },
};

/// By how much a restore raises the sequence numbers of events. More events than were lost since the snapshot, so
/// that no number is used for two events.
const SEQUENCE_JUMP: i64 = 1 << 32;

/// Removes the settings `names` from a snapshot, and overwrites their bytes.
///
/// A deleted row's bytes stay in the file until they are overwritten. So with `secure_delete` all rows are deleted,
/// which clears the table's pages, and those to keep are inserted again. That also clears what was deleted earlier.
pub fn remove_settings(snapshot: &Path, names: &[&str]) -> Result<()> {
    edit(snapshot, |connection| {
        if !has_column(connection, "settings", "name")? {
            return Ok(());
        }
        let mut kept = Vec::new();
        let sql = Sql::from("SELECT name, value FROM settings");
        connection.query(sql, &[], &mut |row| {
            let (name, value): (String, String) = (row.get("name")?, row.get("value")?);
            if !names.contains(&name.as_str()) {
                kept.push((name, value));
            }
            Ok(true)
        })?;
        connection.execute(Sql::from("DELETE FROM settings"), &[])?;
        for (name, value) in kept {
            let sql = Sql::from("INSERT INTO settings (name, value) VALUES (?1, ?2)");
            connection.execute(sql, params![&name, &value])?;
        }
        Ok(())
    })
}

/// Returns whether a snapshot contains any of the settings `names`.
pub fn has_settings(snapshot: &Path, names: &[&str]) -> Result<bool> {
    let location = Location::Sqlite(snapshot.to_owned());
    Ok(!super::settings(&location, names)?.is_empty())
}

/// Replaces all events of a snapshot by one without changes, whose sequence number is higher than any that clients
/// may know: those of the snapshot, and of the shop that it replaces, whose newest is `replaced_head`. Clients that
/// reconnect are told to read the stock again. Returns the number.
pub fn restart_events(snapshot: &Path, replaced_head: i64, now: Timestamp) -> Result<i64> {
    let mut seq = 0;
    edit(snapshot, |connection| {
        let sql = Sql::from("SELECT max(seq) AS seq FROM events");
        connection.query(sql, &[], &mut |row| {
            seq = row.get::<Option<i64>>("seq")?.unwrap_or_default();
            Ok(false)
        })?;
        seq = seq.max(replaced_head) + SEQUENCE_JUMP;
        connection.execute(Sql::from("DELETE FROM events"), &[])?;
        let sql = Sql::from("INSERT INTO events (seq, at, changes) VALUES (?1, ?2, '[]')");
        connection.execute(sql, params![seq, now]).map(drop)
    })?;
    Ok(seq)
}

/// Runs `change` in a transaction. No WAL is left behind.
fn edit(snapshot: &Path, change: impl FnOnce(&mut dyn Connection) -> Result<()>) -> Result<()> {
    let mut connection = sqlite::open_standalone(snapshot, true)?;
    connection
        .pragma_update(None, "secure_delete", true)
        .map_err(failure)?;
    sqlite::run(&connection, "BEGIN IMMEDIATE")?;
    change(&mut connection)?;
    sqlite::run(&connection, "COMMIT")?;
    // Closing the last connection copies the WAL into the file and deletes it.
    connection.close().map_err(|(_, error)| failure(error))
}
