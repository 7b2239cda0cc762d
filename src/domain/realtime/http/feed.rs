//! What a `WebSocket` and an event stream have in common: a position in the event log, and a selection of products.

use std::{ops::RangeInclusive, sync::Arc};

use tokio::sync::watch;

use super::pace::Pace;
use crate::{
    app::App,
    core::error::Result,
    domain::realtime::{
        batch::{Batch, Subscription},
        message::LiveMessage,
    },
    infra::bus,
};

/// The events that one subscriber has not been sent yet.
pub(super) struct Feed {
    app: Arc<App>,
    head: watch::Receiver<i64>,
    /// The sequence number of the last event that was passed on.
    seq: i64,
    pub(super) subscription: Subscription,
    pace: Pace,
}

impl Feed {
    /// Starts at `since`, or now. Returns the greeting, too: RESYNC if the events after `since` are not available.
    pub(super) async fn open(app: Arc<App>, since: Option<i64>) -> Result<(Feed, Batch)> {
        let available = positions(&app).await?;
        let greeting = match since {
            None => LiveMessage::hello(*available.end()),
            Some(since) if available.contains(&since) => LiveMessage::hello(since),
            Some(_) => LiveMessage::resync(*available.end()),
        }?;
        let feed = Feed {
            head: app.bus.watch(),
            app,
            seq: greeting.seq,
            subscription: None,
            pace: Pace::new(),
        };
        Ok((feed, Batch::message(greeting)))
    }

    pub(super) fn seq(&self) -> i64 {
        self.seq
    }

    /// Waits for events, and for room to send them. Returns `None` when the server stops. It can be cancelled at any
    /// time.
    pub(super) async fn next(&mut self) -> Result<Option<Batch>> {
        let seq = self.seq;
        if self.head.wait_for(|head| *head > seq).await.is_err() {
            return Ok(None);
        }
        self.pace.wait(self.app.sockets.in_use()).await;
        let range = self.app.bus.shared_after(&self.app.db, seq).await?;
        let batch = match range.events.last() {
            Some(last) if range.starts_after(seq) => {
                self.seq = last.seq;
                if self.pace.allows(range.events.len()) {
                    Batch::per_event(range, self.subscription.clone())
                } else {
                    Batch::merged(range, self.subscription.as_deref())
                }
            }
            // Old events were deleted meanwhile.
            _ => {
                self.seq = self.app.bus.head();
                Batch::message(LiveMessage::resync(self.seq)?)
            }
        };
        Ok(Some(batch))
    }

    /// Records that a message is sent.
    pub(super) fn count(&mut self) {
        self.pace.count();
    }
}

/// Returns the positions whose following events are all available. The last one includes every event of a request
/// that was answered before.
pub(super) async fn positions(app: &App) -> Result<RangeInclusive<i64>> {
    app.db.flush_events().await?;
    app.db
        .read_durable("realtime.positions", |tx| {
            Ok(bus::tail(tx)?..=bus::head(tx)?)
        })
        .await
}
