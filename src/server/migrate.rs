//! Migrates the schema of a shop, after a backup.

use tokio::runtime::Handle;

use super::{
    backup::{Backup, Target, back_up, place},
    startup,
};
use crate::{
    core::{
        clock::Clock,
        error::{Error, Result},
    },
    infra::{backup::remove_repetition, config::Config, db::migrate},
};

/// Applies the pending migrations of the configured shop. With `makes_backup`, an existing schema is backed up first, and
/// `report` is called with the backup. On `SQLite` the caller holds the lock of the data directory; on Postgres one
/// instance migrates while the others wait. Returns the number of applied migrations.
///
/// Errors: `Unavailable`, `StorageFull`; if the backup fails, nothing is migrated.
pub async fn migrate(
    config: &Config,
    makes_backup: bool,
    report: impl FnOnce(&Backup) + Send + 'static,
    progress: impl FnMut(&'static str, u64, u64) + Send + 'static,
) -> Result<usize> {
    let location = startup::location(config)?;
    let (config, runtime) = (config.clone(), Handle::current());
    let applied = tokio::task::spawn_blocking(move || {
        migrate::run_after(&location, |version| {
            if !makes_backup {
                return Ok(());
            }
            let made = runtime.block_on(back_up_before_migrating(&config, progress));
            report(&made.map_err(|error| not_migrated(version, error))?);
            Ok(())
        })
    });
    applied.await.map_err(Error::internal)?
}

async fn back_up_before_migrating(
    config: &Config,
    progress: impl FnMut(&'static str, u64, u64) + Send + 'static,
) -> Result<Backup> {
    let place = place(config)?;
    let now = Clock::system().now();
    let made = back_up(config, Target::Place(place.clone()), now, progress).await?;
    // A service manager starts a server that cannot migrate again and again.
    if let Err(error) = remove_repetition(&place, &made.archive).await {
        tracing::warn!(?error, "cannot compare the backup with the one before");
    }
    Ok(made)
}

fn not_migrated(version: u32, error: Error) -> Error {
    let why = error.detail();
    let detail = format!(
        "the backup before the migration failed, so the schema stays V{version}: {why}; solve this, or add `--no-backup`"
    );
    Error::new(error.kind(), detail).caused_by(error)
}
