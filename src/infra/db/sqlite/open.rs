//! Opens connections with the settings that the engine relies on, and pools the read-only ones.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{OpenFlags, config::DbConfig};

use super::wal;
use crate::core::error::{Error, Kind, Result};

/// `SQLite` before 3.51.3 can lose a commit when the WAL is reset
/// (<https://www.sqlite.org/wal.html#the_wal_reset_bug>).
const _: () = assert!(
    rusqlite::ffi::SQLITE_VERSION_NUMBER >= 3_051_003,
    "SQLite 3.51.3 or later is needed: earlier ones have the WAL-reset bug"
);

/// How long a read waits for a pooled connection.
pub(super) const POOL_TIMEOUT: Duration = Duration::from_secs(5);

/// The page cache of a read-only connection, of which a server has two dozen. The operating system's page cache, which all
/// of them share, holds the rest.
const READER_CACHE_KIB: i64 = 2048;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    ReadOnly,
    ReadWrite,
}

/// Opens a connection outside the engine, for a command that uses the file alone.
pub(in crate::infra::db) fn open_standalone(
    path: &Path,
    writes: bool,
) -> Result<rusqlite::Connection> {
    let mode = if writes {
        Mode::ReadWrite
    } else {
        Mode::ReadOnly
    };
    open(path, POOL_TIMEOUT, mode)
}

/// Opens a connection. Errors: `unavailable`.
pub(super) fn open(
    path: &Path,
    lock_timeout: Duration,
    mode: Mode,
) -> Result<rusqlite::Connection> {
    try_open(path, lock_timeout, mode).map_err(|error| {
        let detail = format!("cannot open the database `{}`: {error}", path.display());
        Error::new(Kind::Unavailable, detail).caused_by(error)
    })
}

fn try_open(
    path: &Path,
    lock_timeout: Duration,
    mode: Mode,
) -> rusqlite::Result<rusqlite::Connection> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if mode == Mode::ReadWrite {
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
    }
    let connection = rusqlite::Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(lock_timeout)?;
    // The query planner stability guarantee: without it a build with STAT4 re-plans a prepared statement
    // whenever its parameters change.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(256);
    connection.pragma_update(None, "journal_mode", "wal")?;
    // FULL: an acknowledged commit survives a power loss.
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    match mode {
        Mode::ReadWrite => {
            connection.pragma_update(None, "cache_size", -65_536)?;
            connection.pragma_update(None, "wal_autocheckpoint", 16_000)?;
        }
        Mode::ReadOnly => {
            connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
            connection.pragma_update(None, "query_only", true)?;
        }
    }
    wal::keep_if_archived(&connection, path)?;
    Ok(connection)
}

/// Returns the settings of a connection: `journal_mode`, `synchronous`, `foreign_keys`.
pub(super) fn settings(connection: &rusqlite::Connection) -> rusqlite::Result<(String, i64, i64)> {
    let integer = |name| connection.pragma_query_value(None, name, |row| row.get(0));
    Ok((
        connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?,
        integer("synchronous")?,
        integer("foreign_keys")?,
    ))
}

/// Creates a pool of up to `size` read-only connections, opened on demand.
pub(super) fn reader_pool(
    path: &Path,
    lock_timeout: Duration,
    size: u32,
) -> r2d2::Pool<ReaderManager> {
    r2d2::Pool::builder()
        .max_size(size)
        .min_idle(Some(0))
        .test_on_check_out(false)
        .connection_timeout(POOL_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .build_unchecked(ReaderManager {
            path: path.to_owned(),
            lock_timeout,
        })
}

/// Converts the error of a pool without a free connection.
pub(super) fn pool_error(error: r2d2::Error) -> Error {
    Error::unavailable("too many reads at the same time; try again").caused_by(error)
}

/// Opens and checks the read-only connections of a pool.
pub(super) struct ReaderManager {
    path: PathBuf,
    lock_timeout: Duration,
}

impl r2d2::ManageConnection for ReaderManager {
    type Connection = rusqlite::Connection;
    type Error = rusqlite::Error;

    fn connect(&self) -> rusqlite::Result<rusqlite::Connection> {
        try_open(&self.path, self.lock_timeout, Mode::ReadOnly)
    }

    fn is_valid(&self, connection: &mut rusqlite::Connection) -> rusqlite::Result<()> {
        connection.execute_batch("")
    }

    /// Discards a connection with a transaction left open.
    fn has_broken(&self, connection: &mut rusqlite::Connection) -> bool {
        !connection.is_autocommit()
    }
}
