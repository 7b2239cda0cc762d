//! Scheduled backups, made by one instance.
//!
//! The backup place tells when the next one is due, so a restart, another instance or `shop backup` neither repeats nor
//! skips one.

use std::{sync::Arc, time::Duration};

use serde::Serialize;

use crate::{
    app::App,
    core::error::{Error, Result},
    domain::accounts,
    infra::{
        backup::{Place, retain},
        db::{self, Tx},
    },
    server::backup::{Backup, Target, back_up, place},
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
        .run_until_cancelled(tokio::time::sleep(pause))
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
/// Errors: `Unavailable`, `StorageFull`; the admins get an email about it, at most one a day.
pub async fn back_up_if_due(app: &Arc<App>) -> Result<Duration> {
    match try_back_up(app).await {
        Ok(pause) => Ok(pause),
        Err(error) => {
            let why = error.detail().to_owned();
            let queue = move |tx: &mut Tx<'_>| email_admins(tx, &why);
            if let Err(error) = app.db.write("backup.email", queue).await {
                tracing::error!(?error, "cannot email the admins about the failed backup");
            }
            Err(error)
        }
    }
}

async fn try_back_up(app: &Arc<App>) -> Result<Duration> {
    let place = place(&app.config)?;
    let now = app.clock.now();
    let archives = place.archives().await?;
    // One of the future was made before the clock was set back.
    let newest = archives.iter().find(|archive| archive.created_at <= now);
    let due = newest.map(|newest| newest.created_at.plus(app.config.backup_every));
    if let Some(due) = due.filter(|due| now < *due) {
        let wait = u64::try_from(due.0 - now.0).unwrap_or_default();
        return Ok(Duration::from_millis(wait).min(CHECK_INTERVAL));
    }
    let interval = check_interval(app);
    let claim = move |tx: &mut Tx<'_>| db::try_claim_timer(tx, "backup", interval);
    if app.db.write("backup.claim", claim).await? {
        let made = back_up_and_retain(app, place).await?;
        tracing::info!(archive = made.archive, size = made.size, "made a backup");
    }
    Ok(interval)
}

async fn back_up_and_retain(app: &App, place: Place) -> Result<Backup> {
    let now = app.clock.now();
    let target = Target::Place(place.clone());
    let made = back_up(&app.config, target, now, |_, _, _| {}).await?;
    for name in &made.missing_images {
        tracing::warn!(
            name,
            "the backup lacks an image: it was deleted meanwhile, or `shop verify` lists its product"
        );
    }
    let removed = retain(&place, app.config.backup_keep.get(), now).await;
    let removed = removed.map_err(|error| {
        let detail = format!(
            "the backup was made, but old ones could not be deleted: {}",
            error.detail()
        );
        Error::unavailable(detail).caused_by(error)
    })?;
    tracing::debug!(?removed, "deleted old backups");
    Ok(made)
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
