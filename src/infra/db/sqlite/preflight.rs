//! Checks a database file before it is used, without changing it.

use std::{fs, io::ErrorKind, path::Path, time::Duration};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{connection::is_disk_full, wal::keep_if_archived};
use crate::core::error::{Error, Kind, Result};

/// Another process may be opening the file.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// The size of a WAL's header (<https://www.sqlite.org/fileformat2.html#walformat>). A WAL that is not longer contains no
/// pages.
const WAL_HEADER: u64 = 32;

/// The end of the message for a damaged file.
const RESTORE: &str =
    "it is damaged or belongs to another program: restore a backup with `shop restore`";

/// Why a file is refused.
enum Refusal {
    Sqlite(rusqlite::Error),
    /// `SQLite` reads the file, but something is missing.
    Damaged(String),
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Refusal {
        Refusal::Sqlite(error)
    }
}

/// Returns the version of the shop's schema in the file; `None` if it has none or does not exist.
///
/// Errors: `unavailable` with the reason and a remedy; `storage_full`.
pub(in crate::infra::db) fn schema_version(path: &Path) -> Result<Option<u32>> {
    let is_absent = |kind| matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory);
    if fs::metadata(path).is_err_and(|error| is_absent(error.kind())) {
        return Ok(None);
    }
    let cannot_open = |kind, why: &str| {
        let detail = format!("cannot open the database `{}`: {why}", path.display());
        Error::new(kind, detail)
    };
    read_version(path).map_err(|refusal| match refusal {
        Refusal::Damaged(why) => cannot_open(Kind::Unavailable, &format!("{why}; {RESTORE}")),
        Refusal::Sqlite(error) if error.sqlite_error().copied().is_some_and(is_disk_full) => {
            let why = "the disk is full; make space on it, then try again";
            cannot_open(Kind::StorageFull, why).caused_by(error)
        }
        Refusal::Sqlite(error) => {
            let why = match remedy(&error) {
                Some(remedy) => format!("{error}; {remedy}"),
                None => error.to_string(),
            };
            cannot_open(Kind::Unavailable, &why).caused_by(error)
        }
    })
}

fn remedy(error: &rusqlite::Error) -> Option<&'static str> {
    match error.sqlite_error_code() {
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => {
            Some("check the owner and the mode of the file and its directory")
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => None,
        Some(ErrorCode::SystemIoFailure) => Some("check the disk"),
        // The tables that every shop has are missing or contain something else.
        _ => Some(RESTORE),
    }
}

fn read_version(path: &Path) -> Result<Option<u32>, Refusal> {
    let had_wal = has_wal(path);
    // Read-write, because recovery of the WAL of a killed server needs it. `SQLite` falls back to read-only
    // if the file is not writable.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(LOCK_TIMEOUT)?;
    keep_if_archived(&connection, path)?;
    let has_history =
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'refinery_schema_history')";
    let has_history: bool = connection.query_row(has_history, [], |row| row.get(0))?;
    // The last pages may still be in the WAL.
    if !had_wal && is_truncated(&connection, path)? && !has_wal(path) {
        return Err(Refusal::Damaged("its end is missing".to_owned()));
    }
    if has_history && let Some(version) = last_migration(&connection)? {
        return Ok(Some(version));
    }
    // `refinery` creates its table first, then everything else in one transaction.
    let other = "SELECT EXISTS
        (SELECT 1 FROM sqlite_schema WHERE tbl_name <> 'refinery_schema_history')";
    if connection.query_row(other, [], |row| row.get(0))? {
        let why = "it does not say which migrations it has".to_owned();
        return Err(Refusal::Damaged(why));
    }
    Ok(None)
}

/// Reads the history as `refinery` does, which panics at a value that it did not write.
fn last_migration(connection: &Connection) -> Result<Option<u32>, Refusal> {
    let history = "SELECT version, name, applied_on, checksum FROM refinery_schema_history";
    let mut history = connection.prepare(history)?;
    let mut rows = history.query([])?;
    let mut last = None;
    while let Some(row) = rows.next()? {
        row.get::<_, String>("name")?;
        let (applied_on, checksum): (String, String) =
            (row.get("applied_on")?, row.get("checksum")?);
        if applied_on.parse::<jiff::Timestamp>().is_err() || checksum.parse::<u64>().is_err() {
            return Err(Refusal::Damaged(
                "its list of migrations is unreadable".to_owned(),
            ));
        }
        last = last.max(Some(row.get("version")?));
    }
    Ok(last)
}

fn has_wal(path: &Path) -> bool {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    fs::metadata(wal).is_ok_and(|wal| wal.len() > WAL_HEADER)
}

/// Returns whether the file is shorter than the number of pages in its header. `SQLite` itself does not notice if
/// less than a page is missing.
fn is_truncated(connection: &Connection, path: &Path) -> rusqlite::Result<bool> {
    let number = |name| connection.pragma_query_value::<i64, _>(None, name, |row| row.get(0));
    let expected = number("page_size")? * number("page_count")?;
    let expected = expected.unsigned_abs();
    Ok(fs::metadata(path).is_ok_and(|file| file.len() < expected))
}
