//! Where a database is, as an operator names it.

use std::path::PathBuf;

use super::postgres::Target;
use crate::error::{Error, Result};

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

    /// Refuses a server that the shop cannot live on; changes nothing. A file is looked at when it is
    /// opened.
    pub async fn look(&self) -> Result<()> {
        let Location::Postgres(target) = self else {
            return Ok(());
        };
        let target = target.clone();
        let looked = tokio::task::spawn_blocking(move || target.check(&mut target.connect()?));
        looked.await.map_err(Error::internal)?
    }
}
