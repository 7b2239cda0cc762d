//! The live inventory as server-sent events.

use std::{convert::Infallible, sync::Arc};

use axum::response::{
    IntoResponse, Response,
    sse::{Event, KeepAlive, Sse},
};
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio_util::sync::CancellationToken;

use super::{FollowInventoryQuery, feed::Feed, reserve};
use crate::{
    app::State,
    core::error::{Error, Kind, Result, chain},
    domain::realtime::batch::Batch,
    infra::web::{client::ClientAddress, client_quota::Reservation, extract::Query},
};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// nginx collects a response before it sends it, unless this header says `no`.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Follow the live inventory by server-sent events
///
/// The same messages as over the WebSocket, without subscriptions: HELLO or RESYNC, then every committed change of
/// stock. The `id` of each event is the position after it, and its `data` a message in one line. A comment is sent
/// every 30 seconds. The browser's `EventSource` reconnects by itself and then sends the last `id` as `Last-Event-ID`,
/// so it misses nothing.
///
/// ```text
/// id: 41
/// data: {"type":"HELLO","seq":41}
///
/// id: 42
/// data: {"type":"INVENTORY_UPDATE","seq":42,"at":"2026-01-31T18:00:00.000Z","products":[{"id":"…","stockQuantity":7}]}
/// ```
///
/// To try it, run `curl -N http://127.0.0.1:8080/api/v1/inventory/events`, or paste this into the developer console of a
/// page of the shop, such as the API reference:
///
/// ```js
/// const source = new EventSource("api/v1/inventory/events"); // ?since= and the X-Inventory-Seq of the products
/// source.onmessage = ({ data }) => {
///   const message = JSON.parse(data);
///   if (message.type === "RESYNC") console.log("load the products again");
///   if (message.type === "INVENTORY_UPDATE") console.table(message.products);
/// };
/// ```
#[utoipa::path(get, path = "/inventory/events", tag = "live",
    params(
        FollowInventoryQuery,
        ("Last-Event-ID" = Option<i64>, Header,
            description = "The `id` of the last event that was received. It takes precedence over `since`"),
    ),
    responses((status = 200, description = "The stream, which does not end by itself", body = String,
        content_type = "text/event-stream", headers(("X-Accel-Buffering")),
        example = "id: 41\ndata: {\"type\":\"HELLO\",\"seq\":41}\n\n")))]
pub(crate) async fn stream_inventory(
    axum::extract::State(app): State,
    Query(query): Query<FollowInventoryQuery>,
    ClientAddress(client): ClientAddress,
    headers: HeaderMap,
) -> Result<Response> {
    let since = last_event_id(&headers)?.or(query.since);
    let slot = reserve(&app, client)?;
    let (feed, greeting) = Feed::open(Arc::clone(&app), since).await?;
    let heartbeat = KeepAlive::new().interval(app.timeouts.ping_interval);
    let events = EventStream {
        stopping: app.stopping.clone(),
        feed,
        batch: greeting,
        _slot: slot,
    };
    let events = stream::unfold(events, |mut events| async move {
        let event = events.next().await?;
        Some((Ok::<_, Infallible>(event), events))
    });
    let unbuffered = (X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    Ok(([unbuffered], Sse::new(events).keep_alive(heartbeat)).into_response())
}

/// Errors: `invalid-header`.
fn last_event_id(headers: &HeaderMap) -> Result<Option<i64>> {
    let Some(value) = headers.get(LAST_EVENT_ID) else {
        return Ok(None);
    };
    let seq = value.to_str().ok().and_then(|text| text.parse().ok());
    let detail = "`Last-Event-ID` must be the `id` of an event: a whole number";
    seq.map(Some)
        .ok_or_else(|| Error::new(Kind::InvalidHeader, detail))
}

/// The events of one client. `_slot` counts its connection.
struct EventStream {
    stopping: CancellationToken,
    feed: Feed,
    batch: Batch,
    _slot: Reservation,
}

impl EventStream {
    /// Returns the next event. The stream ends when the server stops, and after an error; the client reconnects.
    async fn next(&mut self) -> Option<Event> {
        let stopping = self.stopping.clone();
        let event = stopping.run_until_cancelled(self.next_event()).await?;
        event.unwrap_or_else(|error| {
            tracing::error!(error = %chain(&error), "could not send updates to a subscriber");
            None
        })
    }

    async fn next_event(&mut self) -> Result<Option<Event>> {
        loop {
            if let Some(message) = self.batch.next() {
                let message = message?;
                self.feed.count();
                let json = str::from_utf8(&message.json).map_err(Error::internal)?;
                let id = message.seq.to_string();
                return Ok(Some(Event::default().id(id).data(json)));
            }
            match self.feed.next().await? {
                Some(batch) => self.batch = batch,
                None => return Ok(None),
            }
        }
    }
}
