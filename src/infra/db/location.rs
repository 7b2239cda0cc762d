//! The location of a database: a `SQLite` file or a Postgres server, parsed from a URL.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::postgres::Target;
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

    /// Returns the name for messages, without the password.
    pub fn name(&self) -> String {
        match self {
            Location::Sqlite(path) => format!("`{}`", path.display()),
            Location::Postgres(target) => target.name(),
        }
    }

    /// Checks that the server is usable or that the file is a database, without changing anything. Returns
    /// whether the shop's schema exists.
    ///
    /// Errors: `unavailable` with the reason and a remedy.
    pub async fn check(&self) -> Result<bool> {
        let location = self.clone();
        // The check blocks on disk or network.
        let checked = tokio::task::spawn_blocking(move || match location {
            Location::Sqlite(path) => has_schema(&path),
            Location::Postgres(target) => target.check(&mut target.connect()?),
        });
        checked.await.map_err(Error::internal)?
    }
}

/// Returns whether the file has the shop's schema; `false` if it does not exist.
fn has_schema(path: &Path) -> Result<bool> {
    let is_absent = |kind| matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory);
    if fs::metadata(path).is_err_and(|error| is_absent(error.kind())) {
        return Ok(false);
    }
    // Read-write, because recovery of the WAL of a killed server needs it. `SQLite` falls back to read-only
    // if the file is not writable.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let found = Connection::open_with_flags(path, flags).and_then(|connection| {
        connection.busy_timeout(CHECK_LOCK_TIMEOUT)?;
        let is_true = |sql| connection.query_row(sql, [], |row| row.get::<_, bool>(0));
        Ok(is_true(
            "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'refinery_schema_history')",
        )? && is_true("SELECT EXISTS (SELECT 1 FROM refinery_schema_history)")?)
    });
    found.map_err(|error| {
        let remedy = match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                "; it is damaged or belongs to another program: restore a backup"
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
