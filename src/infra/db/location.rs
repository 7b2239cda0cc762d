//! The location of a database: a `SQLite` file or a Postgres server, parsed from a URL.

use std::path::PathBuf;

use super::{postgres::Target, sqlite};
use crate::core::error::{Error, Result};

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
            Location::Sqlite(path) => sqlite::schema_version(path),
            Location::Postgres(target) => target.check(&mut target.connect()?),
        }
    }
}
