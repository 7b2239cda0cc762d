//! Timers: what has to be done again and again, whoever asks for what.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    app::App,
    core::{clock::ClockJumpDetector, error::Result},
    domain::{accounts, catalog, media, notifications, settlement},
    infra::{bus, db, web::idempotency},
};

/// How often old rows are cleaned away.
const CLEAN_UP: Duration = Duration::from_hours(1);

/// A timer that rings a little early still rings.
const NEARLY: Duration = Duration::from_mins(59);

/// How long events can be replayed.
const EVENTS_KEPT_FOR: Duration = Duration::from_hours(168);

/// How often the outbox is looked into; `shop admin` beside the server writes to it, too.
const LOOK_FOR_MAIL: Duration = Duration::from_millis(250);

/// How often it is looked whether the store of pictures is to lose some.
const LOOK_FOR_REMOVALS: Duration = Duration::from_secs(1);

/// How often it is looked whether orders have waited too long for their money.
const LOOK_FOR_UNPAID: Duration = Duration::from_secs(1);

/// How often it is looked whether the payment provider is to be told something.
const LOOK_FOR_PROVIDER: Duration = Duration::from_millis(500);

/// How long it rests where more may be due: what is sold comes before what is sent.
const BREATH: Duration = Duration::from_millis(50);

/// How long what is due rests while the database cannot be asked.
const REST: Duration = Duration::from_secs(5);

/// Starts the timers; they end when the shop stops.
pub fn start(app: &Arc<App>) {
    let shop = Arc::clone(app);
    tokio::spawn(async move {
        let mut timer = tokio::time::interval(CLEAN_UP);
        loop {
            tokio::select! {
                () = shop.stopping.cancelled() => break,
                _ = timer.tick() => clean_up(&shop).await,
            }
            if let Err(error) = media::worker::sweep(&shop, NEARLY).await {
                tracing::warn!(?error, "the store of pictures was not looked through");
            }
        }
    });
    let shop = Arc::clone(app);
    tokio::spawn(async move {
        let remove = |app: Arc<App>| async move { media::worker::remove_due(&app).await };
        do_what_is_due(shop, "pictures to be removed", LOOK_FOR_REMOVALS, remove).await;
    });
    let (shop, patience) = (Arc::clone(app), Arc::new(ExpiryPause::default()));
    tokio::spawn(async move {
        let expire = |app: Arc<App>| {
            let patience = Arc::clone(&patience);
            async move {
                if patience.is_asked_for(&app, Instant::now()) {
                    return Ok(0);
                }
                settlement::expire_due(&app).await
            }
        };
        do_what_is_due(shop, "unpaid orders", LOOK_FOR_UNPAID, expire).await;
    });
    let shop = Arc::clone(app);
    app.background_tasks.spawn(async move {
        let tell = |app: Arc<App>| async move { settlement::run_gateway_queue(&app).await };
        do_what_is_due(shop, "the payment provider", LOOK_FOR_PROVIDER, tell).await;
    });
    // A stopping server waits for it, so that a mail under way is not sent again at the next start.
    let shop = Arc::clone(app);
    app.background_tasks.spawn(async move {
        if let Err(error) = notifications::worker::begin(&shop).await {
            tracing::warn!(?error, "mails that wait keep to their times");
        }
        let send = |app: Arc<App>| async move { notifications::worker::send_due(&app).await };
        do_what_is_due(shop, "mails", LOOK_FOR_MAIL, send).await;
    });
}

/// Whether orders may expire. When the clock has leapt ahead nobody knows how long an order has waited:
/// each is given the whole payment window anew, lest all of them expire at once.
#[derive(Default)]
pub struct ExpiryPause(Mutex<(ClockJumpDetector, Option<Instant>)>);

impl ExpiryPause {
    /// Whether none may expire for now; `at` is the moment by the clock that only goes on.
    pub fn is_asked_for(&self, app: &App, at: Instant) -> bool {
        let mut inside = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (leaps, until) = &mut *inside;
        if leaps.has_jumped(app.clock.now(), at) {
            tracing::warn!(
                "the clock has leapt ahead; unpaid orders are given their whole time anew"
            );
            *until = Some(at + app.config.payment_window);
        }
        until.is_some_and(|until| at < until)
    }
}

/// Does what is due until nothing is, and looks again as often as `every` says, until the shop stops.
/// `work` tells how much it did.
async fn do_what_is_due<F: Future<Output = Result<usize>>>(
    app: Arc<App>,
    what: &'static str,
    every: Duration,
    work: impl Fn(Arc<App>) -> F,
) {
    let mut rest = Duration::ZERO;
    while app
        .stopping
        .run_until_cancelled(tokio::time::sleep(rest))
        .await
        .is_some()
    {
        rest = match work(Arc::clone(&app)).await {
            Ok(0) => every,
            Ok(_) => BREATH,
            Err(error) => {
                tracing::warn!(what, ?error, "what is due waits; trying again");
                REST
            }
        };
    }
}

/// Forgets what nobody needs any more.
pub async fn clean_up(app: &App) {
    app.limits.forget_idle();
    let refresh_token_ttl = app.config.refresh_token_ttl;
    let cleaned = app
        .db
        .write("worker.clean_up", move |tx| {
            if !db::try_claim_timer(tx, "clean_up", NEARLY)? {
                return Ok(None);
            }
            let keys = idempotency::forget_expired(tx)?;
            let events = bus::forget_before(tx, EVENTS_KEPT_FOR)?;
            let spent_before = tx.now().minus(refresh_token_ttl);
            accounts::forget_sessions(tx, spent_before)?;
            accounts::forget_links(tx)?;
            accounts::forget_codes(tx)?;
            accounts::delete_expired_attempts(tx)?;
            accounts::delete_expired_networks(tx)?;
            notifications::forget_sent(tx)?;
            catalog::delete_expired_sheets(tx)?;
            Ok(Some((keys, events)))
        })
        .await;
    match cleaned {
        Ok(Some((keys, events))) => tracing::debug!(keys, events, "cleaned up"),
        Ok(None) => {}
        Err(error) => tracing::warn!(?error, "could not clean up; trying again later"),
    }
    match notifications::worker::delete_old_files(app).await {
        Ok(deleted) => tracing::debug!(deleted, "deleted old mail files"),
        Err(error) => tracing::warn!(?error, "cannot delete old mail files; trying again later"),
    }
}
