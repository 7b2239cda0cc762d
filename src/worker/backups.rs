//! Scheduled backups, made by one instance.
//!
//! The backup place tells when the next one is due, so a restart, another instance or `shop backup` neither repeats nor
//! skips one. A backup is complete once it was read back and old ones are deleted. What is known of the backups is
//! recorded for all instances, which report it.

use std::{sync::Arc, time::Duration};

use serde::Serialize;

use crate::{
    app::App,
    core::{
        clock::Timestamp,
        error::{Error, Kind, Result},
    },
    domain::accounts,
    infra::{
        backup::{Place, Stored, archive_name, retain, state},
        db::{self, Tx},
    },
    server::{
        backup::{Target, back_up, place, read_back},
        metrics::BACKUP_FAILURES,
    },
};

/// The longest time until the place is looked at again, and the pause after a failure.
const CHECK_INTERVAL: Duration = Duration::from_hours(1);

/// The least time between two emails about failed backups.
const EMAIL_INTERVAL: Duration = Duration::from_hours(24);

/// Makes backups until the server stops.
pub(super) async fn run(app: Arc<App>) {
    if app.config.backup_url.is_none() {
        return;
    }
    let mut pause = Duration::ZERO;
    while app
        .stopping
        .run_until_cancelled(wait(&app, pause))
        .await
        .is_some()
    {
        pause = match back_up_if_due(&app).await {
            Ok(pause) => pause,
            Err(error) => {
                let minutes = check_interval(&app).as_secs() / 60;
                tracing::error!(?error, "the backup failed; retrying in {minutes} min");
                check_interval(&app)
            }
        };
    }
}

fn check_interval(app: &App) -> Duration {
    app.config.backup_every.min(CHECK_INTERVAL)
}

/// Makes a backup if one is due, and deletes the oldest ones. Returns how long to wait until the next check.
///
/// Errors: `Unavailable`, `StorageFull`; `CommandFailed` if the new backup is damaged. The failure is recorded, and the
/// admins get an email about it, at most one a day.
pub async fn back_up_if_due(app: &Arc<App>) -> Result<Duration> {
    match try_back_up(app).await {
        Ok(pause) => Ok(pause),
        Err(error) => {
            BACKUP_FAILURES.counter([]).increment(1);
            let why = error.detail().to_owned();
            let record = move |tx: &mut Tx<'_>| {
                state::record_failure(tx, &why)?;
                email_admins(tx, &why)
            };
            if let Err(error) = app.db.write("backup.failed", record).await {
                tracing::error!(
                    ?error,
                    "cannot record the failed backup or email the admins about it"
                );
            }
            Err(error)
        }
    }
}

async fn try_back_up(app: &Arc<App>) -> Result<Duration> {
    let place = place(&app.config)?;
    let now = app.clock.now();
    let newest = place.newest(now).await?;
    let made_at = newest.as_ref().map(|newest| newest.created_at);
    let record = move |tx: &mut Tx<'_>| state::record_newest(tx, made_at);
    let has_failed = app.db.write("backup.newest", record).await?;
    let due = |made_at: Timestamp| made_at.plus(app.config.backup_every);
    let needs_base = needs_base(app, &place, newest.as_ref()).await?;
    let current = newest.filter(|newest| now < due(newest.created_at) && !needs_base);
    if let Some(current) = current.as_ref().filter(|_| !has_failed) {
        let wait = u64::try_from(due(current.created_at).0 - now.0).unwrap_or_default();
        return Ok(Duration::from_millis(wait).min(CHECK_INTERVAL));
    }
    let interval = check_interval(app);
    let claim = move |tx: &mut Tx<'_>| db::try_claim_timer(tx, "backup", interval);
    if needs_base || app.db.write("backup.claim", claim).await? {
        let made_at = match current {
            // The last attempt may have failed after it was made.
            Some(current) => {
                read_back(&place, &current.name).await?;
                current.created_at
            }
            None => back_up_and_read_back(app, &place, now).await?,
        };
        delete_old(app, &place, now).await?;
        let record = move |tx: &mut Tx<'_>| state::record_success(tx, made_at);
        app.db.write("backup.success", record).await?;
    }
    Ok(interval)
}

/// Whether the WAL archive has begun a generation that has no base backup yet.
async fn needs_base(app: &App, place: &Place, newest: Option<&Stored>) -> Result<bool> {
    let Some(position) = app.db.wal_archive().and_then(|wal| wal.position()) else {
        return Ok(false);
    };
    let Some(newest) = newest else {
        return Ok(true);
    };
    let base = place.manifest(&newest.name).await?.base;
    Ok(base.is_none_or(|base| base.generation != position.generation))
}

/// Waits for the next check, or for a generation of the WAL archive, which needs a base backup.
async fn wait(app: &App, pause: Duration) {
    let pause = tokio::time::sleep(pause);
    match app.db.wal_archive() {
        None => pause.await,
        Some(wal) => tokio::select! {
            () = pause => {}
            () = wal.generation_started() => {}
        },
    }
}

/// Makes a backup and checks it. Returns when it was made.
async fn back_up_and_read_back(app: &App, place: &Place, now: Timestamp) -> Result<Timestamp> {
    let made = back_up(&app.config, Target::Place(place.clone()), now, |_, _, _| {}).await?;
    for name in &made.missing_images {
        tracing::warn!(
            name,
            "the backup lacks an image: it was deleted meanwhile, or `shop verify` lists its product"
        );
    }
    let name = archive_name(now);
    if let Err(error) = read_back(place, &name).await {
        return Err(match error.kind() {
            Kind::CommandFailed => delete_damaged(place, &name, error).await,
            _ => error,
        });
    }
    tracing::info!(archive = made.archive, size = made.size, "made a backup");
    Ok(made.created_at)
}

/// Deletes a new archive that is damaged, so that the next attempt makes another, and no restore takes it for the
/// newest. Returns the error to report.
async fn delete_damaged(place: &Place, name: &str, damaged: Error) -> Error {
    let outcome = match place.delete_archive(name).await {
        Ok(()) => "it was deleted".to_owned(),
        Err(error) => format!("it could not be deleted: {}", error.detail()),
    };
    let detail = format!(
        "{}; {outcome}; check the backup place, and the disk and memory of this machine",
        damaged.detail()
    );
    Error::command_failed(detail).caused_by(damaged)
}

async fn delete_old(app: &App, place: &Place, now: Timestamp) -> Result<()> {
    let removed = retain(place, app.config.backup_keep.get(), now).await;
    let removed = removed.map_err(|error| {
        let detail = format!(
            "the backup was made, but old ones could not be deleted: {}",
            error.detail()
        );
        Error::unavailable(detail).caused_by(error)
    })?;
    tracing::debug!(?removed, "deleted old backups");
    Ok(())
}

/// The data of the email.
#[derive(Serialize)]
struct FailedBackup<'a> {
    name: &'a str,
    error: &'a str,
}

/// Queues an email to every admin, unless one was queued in the last day.
fn email_admins(tx: &mut Tx<'_>, error: &str) -> Result<()> {
    if !db::try_claim_timer(tx, "backup_email", EMAIL_INTERVAL)? {
        return Ok(());
    }
    for (email, name) in accounts::admin_addresses(tx)? {
        let name = name.as_str();
        tx.mail(&email, "backup-failed", &FailedBackup { name, error })?;
    }
    Ok(())
}
