//! Where a database is, as an operator names it.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::postgres::Target;
use crate::core::error::{Error, Result};

/// How long a look at a file waits for a program that is opening it.
const LOOK: Duration = Duration::from_secs(5);

/// A file of this machine, or a server.
#[derive(Debug, Clone)]
pub enum Location {
    Sqlite(PathBuf),
    Postgres(Box<Target>),
}

impl Location {
    /// Reads `sqlite:PATH` or `postgres://…`.
    pub fn parse(url: &str) -> Result<Location> {
        if let Some(path) = url.strip_prefix("sqlite:").filter(|path| !path.is_empty()) {
            return Ok(Location::Sqlite(PathBuf::from(path)));
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Location::Postgres(Box::new(Target::parse(url)?)));
        }
        // What was given is not shown: a password may stand in it.
        Err(Error::config(
            "a database is named `postgres://user:password@host:5432/name?sslmode=verify-full`, or \
             `sqlite:PATH` for `shop transfer`",
        ))
    }

    /// The database for messages, without a password.
    pub fn name(&self) -> String {
        match self {
            Location::Sqlite(path) => format!("`{}`", path.display()),
            Location::Postgres(target) => target.name(),
        }
    }

    /// Refuses a server that the shop cannot live on, and a file that is no database. Creates nothing.
    /// Returns whether the shop's schema is there.
    pub async fn look(&self) -> Result<bool> {
        let location = self.clone();
        // It waits for a disk or a network.
        let looked = tokio::task::spawn_blocking(move || match location {
            Location::Sqlite(path) => has_schema(&path),
            Location::Postgres(target) => target.check(&mut target.connect()?),
        });
        looked.await.map_err(Error::internal)?
    }
}

/// Whether the file has the shop's schema; not where there is no file.
fn has_schema(path: &Path) -> Result<bool> {
    let is_absent = |kind| matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory);
    if fs::metadata(path).is_err_and(|error| is_absent(error.kind())) {
        return Ok(false);
    }
    // Writing, or the log of a server that was killed could not be read. `SQLite` opens a file that may
    // not be written for reading.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let found = Connection::open_with_flags(path, flags).and_then(|connection| {
        connection.busy_timeout(LOOK)?;
        let is_true = |sql| connection.query_row(sql, [], |row| row.get::<_, bool>(0));
        Ok(is_true(
            "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'refinery_schema_history')",
        )? && is_true("SELECT EXISTS (SELECT 1 FROM refinery_schema_history)")?)
    });
    found.map_err(|error| {
        let remedy = match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                "; it is damaged or another program's: put a backup in its place"
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
