//! The location of a database: a `SQLite` file or a Postgres server, parsed from a URL.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{postgres::Target, sqlite::wal};
use crate::core::error::{Error, Result};

/// The busy timeout of the check: another process may be opening the file.
const CHECK_LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// A local file or a server.
#[derive(Debug, Clone)]
pub enum Location {
    Sqlite(PathBuf),
    Postgres(Box<Target>),
}

impl Location {
    /// Parses `sqlite:PATH` or `postgres://…`. Errors: `Config`.
    pub fn parse(url: &str) -> Result<Location> {
        if let Some(path) = url.strip_prefix("sqlite:").filter(|path| !path.is_empty()) {
            return Ok(Location::Sqlite(PathBuf::from(path)));
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Location::Postgres(Box::new(Target::parse(url)?)));
        }
        // The message omits the input: it may contain a password.
        Err(Error::config(
            "the database must be `postgres://user:password@host:5432/name?sslmode=verify-full`, or \
             `sqlite:PATH` for `shop transfer`",
        ))
    }

    /// Returns the name of the engine in logs and metrics.
    pub fn engine(&self) -> &'static str {
        match self {
            Location::Sqlite(_) => "sqlite",
            Location::Postgres(_) => "postgres",
        }
    }

    /// Returns the name for messages, without the password.
    pub fn name(&self) -> String {
        match self {
            Location::Sqlite(path) => format!("`{}`", path.display()),
            Location::Postgres(target) => target.name(),
        }
    }

    /// Checks that the server is usable or that the file is a database, without changing anything. Returns
    /// the version of the shop's schema, or `None` if there is none.
    ///
    /// Errors: `unavailable` with the reason and a remedy.
    pub async fn check(&self) -> Result<Option<u32>> {
        let location = self.clone();
        let checked = tokio::task::spawn_blocking(move || location.version());
        checked.await.map_err(Error::internal)?
    }

    /// Like [`Location::check`]. Blocks on disk or network.
    pub(super) fn version(&self) -> Result<Option<u32>> {
        match self {
            Location::Sqlite(path) => schema_version(path),
            Location::Postgres(target) => target.check(&mut target.connect()?),
        }
    }
}

/// Returns the version of the shop's schema in the file; `None` if it has none or does not exist.
fn schema_version(path: &Path) -> Result<Option<u32>> {
    let is_absent = |kind| matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory);
    if fs::metadata(path).is_err_and(|error| is_absent(error.kind())) {
        return Ok(None);
    }
    // Read-write, because recovery of the WAL of a killed server needs it. `SQLite` falls back to read-only
    // if the file is not writable.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let found = Connection::open_with_flags(path, flags).and_then(|connection| {
        connection.busy_timeout(CHECK_LOCK_TIMEOUT)?;
        wal::keep_if_archived(&connection, path)?;
        let has_history =
            "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'refinery_schema_history')";
        if !connection.query_row(has_history, [], |row| row.get(0))? {
            return Ok(None);
        }
        let version = "SELECT max(version) FROM refinery_schema_history";
        connection.query_row(version, [], |row| row.get(0))
    });
    found.map_err(|error| {
        let remedy = match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                "; it is damaged or belongs to another program: restore a backup with `shop restore`"
            }
            Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => {
                "; check the owner and the mode of the file and its directory"
            }
            _ => "",
        };
        let detail = format!(
            "cannot open the database `{}`: {error}{remedy}",
            path.display()
        );
        Error::unavailable(detail).caused_by(error)
    })
}
