//! `shop migrate`: applies the pending schema migrations, or lists them.

use serde::Serialize;

use super::{
    output::{Output, count, print_message},
    progress,
    shop_not_found::existing_version,
};
use crate::{
    core::error::{Error, Result},
    infra::{
        config::Config,
        db::{Location, migrate},
    },
    server::{self, DataDir, backup::Backup},
};

#[derive(Debug, clap::Args)]
pub(super) struct Migrate {
    /// List the pending migrations and change nothing; exits with code 1 if there are any
    #[arg(long)]
    check: bool,
    /// Do not make a backup first
    #[arg(long)]
    no_backup: bool,
}

/// A pending migration.
#[derive(Debug, Serialize)]
struct PendingMigration {
    name: &'static str,
}

impl Migrate {
    pub(super) async fn run(self, config: &Config, output: Output) -> Result<()> {
        let version = existing_version(config).await?;
        let pending = migrate::pending(version);
        let listed: Vec<_> = pending
            .iter()
            .map(|name| PendingMigration { name })
            .collect();
        if version == migrate::latest_version() {
            return output.value(&listed, &format!("the schema is up to date (V{version})"));
        }
        if !pending.is_empty() {
            output.table(&["pending migration"], &listed, |migration| {
                vec![migration.name.to_owned()]
            })?;
            if self.check {
                return Err(pending_migrations(version));
            }
        }
        // This also rejects a schema of a newer version, by the name of its last migration.
        let location = server::location(config)?;
        // Held until the end, so that no server starts meanwhile. On Postgres, the servers of an older version may run:
        // its migrations are made for that.
        let _lock = match &location {
            Location::Sqlite(_) => Some(DataDir::at(&config.data_dir).lock()?),
            Location::Postgres(_) => None,
        };
        let report = |made: &Backup| print_message(&format!("backup: {}", made.archive));
        let applied = server::migrate(config, !self.no_backup, report, progress::steps()).await?;
        let applied = count(u64::try_from(applied).unwrap_or(u64::MAX), "migration");
        print_message(&format!("{applied} applied"));
        Ok(())
    }
}

/// Checks that a command can use a schema of this version, which it does not migrate by itself.
///
/// Errors: `CommandFailed` if migrations are pending.
pub(super) fn check_schema(version: u32) -> Result<()> {
    if migrate::pending(version).is_empty() {
        return Ok(());
    }
    Err(pending_migrations(version))
}

fn pending_migrations(version: u32) -> Error {
    let latest = migrate::latest_version();
    Error::command_failed(format!(
        "the schema of the database is V{version}, and this version of `shop` needs V{latest}; run \
         `shop migrate`, or start the server, which migrates it"
    ))
}
