//! Background tasks: periodic clean-up, the expiry of orders, scheduled backups, the archive of the
//! WAL, and the queue of background jobs.

pub mod backups;
pub mod wal_archive;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    app::App,
    core::{
        clock::ClockJumpDetector,
        error::{Result, chain},
    },
    domain::{
        accounts, cart, catalog,
        media::{self, worker::DeleteImage},
        notifications::{self, worker::SendMail},
        settlement::{self, CreateProviderOrder, SendRefund},
    },
    infra::{
        bus::{self, Retention},
        db,
        jobs::{self, Handler},
        web::idempotency,
    },
};

/// How often expired rows are deleted.
const CLEAN_UP_INTERVAL: Duration = Duration::from_hours(1);

/// The minimum time between two clean-ups over all instances. Slightly shorter than the interval, so that
/// jitter does not skip one.
const MIN_CLEAN_UP_INTERVAL: Duration = Duration::from_mins(59);

/// How many events can be replayed.
const EVENT_RETENTION: Retention = Retention {
    age: Duration::from_hours(168),
    count: 1_000_000,
};

/// How often unpaid orders are checked for expiry.
const EXPIRY_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The pause between two batches while there is work, which leaves the database to requests.
const BATCH_PAUSE: Duration = Duration::from_millis(50);

/// The pause after an error, e.g. while the database is unreachable.
const ERROR_PAUSE: Duration = Duration::from_secs(5);

/// Starts the background tasks. They end when the server stops.
pub fn start(app: &Arc<App>) {
    let shop = Arc::clone(app);
    tokio::spawn(async move {
        let mut timer = tokio::time::interval(CLEAN_UP_INTERVAL);
        loop {
            tokio::select! {
                () = shop.stopping.cancelled() => break,
                _ = timer.tick() => clean_up(&shop).await,
            }
            if let Err(error) = media::worker::delete_orphans(&shop, MIN_CLEAN_UP_INTERVAL).await {
                tracing::warn!(error = %chain(&error), "could not search the image store for orphans");
            }
        }
    });
    tokio::spawn(run_jobs(app, DeleteImage::new(Arc::clone(app))));
    tokio::spawn(backups::run(Arc::clone(app)));
    let (shop, pause) = (Arc::clone(app), Arc::new(ExpiryPause::default()));
    tokio::spawn(async move {
        let expire = |app: Arc<App>| {
            let pause = Arc::clone(&pause);
            async move {
                if pause.is_active(&app, Instant::now()) {
                    return Ok(0);
                }
                settlement::expire_due(&app).await
            }
        };
        poll(shop, "order expiry", EXPIRY_POLL_INTERVAL, expire).await;
    });
    // A stopping server waits for these tasks, so that the next start repeats no request and no email.
    app.background_tasks
        .spawn(run_jobs(app, CreateProviderOrder(Arc::clone(app))));
    app.background_tasks
        .spawn(run_jobs(app, SendRefund(Arc::clone(app))));
    let shop = Arc::clone(app);
    app.background_tasks.spawn(async move {
        if let Err(error) = notifications::worker::retry_at_start(&shop).await {
            tracing::warn!(error = %chain(&error), "could not retry waiting emails early");
        }
        run_jobs(&shop, SendMail(Arc::clone(&shop))).await;
    });
}

/// Runs the jobs of a kind until the server stops.
fn run_jobs<H: Handler>(app: &Arc<App>, handler: H) -> impl Future<Output = ()> + Send + use<H> {
    let queue = handler.queue();
    let handler = Arc::new(handler);
    let run = move |app: Arc<App>| {
        let handler = Arc::clone(&handler);
        async move { jobs::run_due(&app.db, &handler).await }
    };
    poll(Arc::clone(app), queue.kind, queue.poll_interval, run)
}

/// Pauses the expiry of unpaid orders after a forward jump of the clock. How long orders have waited is then
/// unknown, so each gets a full payment window instead of all expiring together.
#[derive(Default)]
pub struct ExpiryPause(Mutex<(ClockJumpDetector, Option<Instant>)>);

impl ExpiryPause {
    /// Returns whether expiry is paused at `now`, a time of the monotonic clock.
    pub fn is_active(&self, app: &App, now: Instant) -> bool {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (detector, until) = &mut *inner;
        if detector.has_jumped(app.clock.now(), now) {
            tracing::warn!("the clock jumped forward; unpaid orders get a full payment window");
            *until = Some(now + app.config.payment_window);
        }
        until.is_some_and(|until| now < until)
    }
}

/// Runs `work` batch by batch until it has nothing to do, and again after each `interval`, until the server
/// stops. `work` returns how many items it processed.
async fn poll<F: Future<Output = Result<usize>>>(
    app: Arc<App>,
    task: &'static str,
    interval: Duration,
    work: impl Fn(Arc<App>) -> F,
) {
    let mut pause = Duration::ZERO;
    while app
        .stopping
        .run_until_cancelled(tokio::time::sleep(pause))
        .await
        .is_some()
    {
        pause = match work(Arc::clone(&app)).await {
            Ok(0) => interval,
            Ok(_) => BATCH_PAUSE,
            Err(error) => {
                let seconds = ERROR_PAUSE.as_secs();
                tracing::warn!(
                    task,
                    error = %chain(&error),
                    "background task failed; retrying in {seconds} s"
                );
                ERROR_PAUSE
            }
        };
    }
}

/// Deletes expired rows and files, and rate-limit counters that are full again; fails jobs that no worker claims.
pub async fn clean_up(app: &Arc<App>) {
    app.limits.remove_idle();
    let refresh_token_ttl = app.config.refresh_token_ttl;
    let cleaned = app
        .db
        .write("worker.clean_up", move |tx| {
            if !db::try_claim_timer(tx, "clean_up", MIN_CLEAN_UP_INTERVAL)? {
                return Ok(None);
            }
            let keys = idempotency::delete_expired(tx)?;
            let spent_before = tx.now().minus(refresh_token_ttl);
            accounts::delete_expired(tx, spent_before)?;
            notifications::delete_expired_sent(tx)?;
            catalog::delete_expired_imports(tx)?;
            Ok(Some(keys))
        })
        .await;
    match cleaned {
        Ok(Some(keys)) => {
            tracing::debug!(keys, "deleted expired rows");
            if let Err(error) = delete_old_events(app).await {
                tracing::warn!(error = %chain(&error), "could not delete old events; retrying later");
            }
            if let Err(error) = delete_expired_guest_carts(app).await {
                tracing::warn!(error = %chain(&error), "could not delete expired carts; retrying later");
            }
            if let Err(error) = settlement::fail_unclaimed(app).await {
                tracing::warn!(error = %chain(&error), "could not fail unclaimed jobs; retrying later");
            }
        }
        Ok(None) => {}
        Err(error) => {
            tracing::warn!(error = %chain(&error), "could not delete expired rows; retrying later");
        }
    }
    match notifications::worker::delete_old_files(app).await {
        Ok(deleted) => tracing::debug!(deleted, "deleted old email files"),
        Err(error) => {
            tracing::warn!(error = %chain(&error), "could not delete old email files; retrying later");
        }
    }
}

/// Deletes the expired carts of guests, in small batches.
async fn delete_expired_guest_carts(app: &App) -> Result<()> {
    let delete = cart::delete_expired_guest_carts;
    let deleted = delete_in_batches(app, "worker.delete_carts", delete).await?;
    tracing::debug!(deleted, "deleted expired carts");
    Ok(())
}

/// Deletes the events that are not retained, in small batches.
async fn delete_old_events(app: &App) -> Result<()> {
    let delete = |tx: &mut db::Tx<'_>| bus::delete_old(tx, EVENT_RETENTION);
    let deleted = delete_in_batches(app, "worker.delete_events", delete).await?;
    tracing::debug!(deleted, "deleted old events");
    Ok(())
}

/// Runs `delete`, which deletes some rows and returns how many, until none are left. Returns how many were deleted.
async fn delete_in_batches(
    app: &App,
    name: &'static str,
    delete: fn(&mut db::Tx<'_>) -> Result<u64>,
) -> Result<u64> {
    let mut deleted = 0;
    while !app.stopping.is_cancelled() {
        let batch = app.db.write(name, delete).await?;
        if batch == 0 {
            break;
        }
        deleted += batch;
        tokio::time::sleep(BATCH_PAUSE).await;
    }
    Ok(deleted)
}
