//! Timers: what has to be done again and again, whoever asks for what.

use std::{sync::Arc, time::Duration};

use crate::{
    accounts, bus, db,
    web::{App, idempotency},
};

/// How often old rows are cleaned away.
const CLEAN_UP: Duration = Duration::from_hours(1);

/// A timer that rings a little early still rings.
const NEARLY: Duration = Duration::from_mins(59);

/// How long events can be replayed.
const EVENTS_KEPT_FOR: Duration = Duration::from_hours(168);

/// Starts the timers; they end when the shop stops.
pub fn start(app: &Arc<App>) {
    let app = Arc::clone(app);
    tokio::spawn(async move {
        let mut timer = tokio::time::interval(CLEAN_UP);
        loop {
            tokio::select! {
                () = app.stopping.cancelled() => break,
                _ = timer.tick() => clean_up(&app).await,
            }
        }
    });
}

async fn clean_up(app: &App) {
    app.limits.forget_idle();
    let cleaned = app
        .db
        .write("worker.clean_up", |tx| {
            if !db::is_due(tx, "clean_up", NEARLY)? {
                return Ok(None);
            }
            let keys = idempotency::forget_expired(tx)?;
            let events = bus::forget_before(tx, EVENTS_KEPT_FOR)?;
            accounts::forget_tries(tx)?;
            Ok(Some((keys, events)))
        })
        .await;
    match cleaned {
        Ok(Some((keys, events))) => tracing::debug!(keys, events, "cleaned up"),
        Ok(None) => {}
        Err(error) => tracing::warn!(?error, "could not clean up; trying again later"),
    }
}
