//! The WebSocket connection of one subscriber (RFC 6455), from HELLO to the close handshake.

use std::{collections::HashSet, sync::Arc, time::Duration};

use axum::extract::ws::{CloseCode, CloseFrame, Message, WebSocket, close_code};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, MissedTickBehavior};
use tungstenite::error::ProtocolError;
use utoipa::ToSchema;

use crate::{
    app::App,
    core::{
        error::{Result, chain},
        id::ProductId,
    },
    domain::realtime::inventory_update::{InventoryUpdate, updates},
    infra::{
        bus,
        web::{FragmentFlood, client_quota::Reservation, extract::deserialize_some},
    },
};

/// Maximum number of messages and control frames from one subscriber per second.
const MAX_FRAMES_PER_SECOND: u32 = 50;

/// Timeout for sending a message. A subscriber that accepts no data for this long is disconnected.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);

/// Timeout for the subscriber's close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Timeout for the subscriber's close frame while the server is stopping.
const STOPPING_CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// A message from a client.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum LiveRequest {
    /// Receive the updates of these products only: none if the list is empty, all if there is no list.
    Subscribe {
        #[serde(rename = "productIds", default, deserialize_with = "deserialize_some")]
        #[schema(value_type = Vec<ProductId>, required = false)]
        products: Option<HashSet<ProductId>>,
    },
}

/// A message from the server.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum LiveMessage {
    /// The first message: updates after `seq` follow.
    Hello { seq: i64 },
    /// The first message if the updates after `since` are not available: read the products again. Updates after `seq`
    /// follow.
    Resync { seq: i64 },
    /// Stock has changed.
    InventoryUpdate(InventoryUpdate),
    /// The answer to `subscribe`.
    Subscribed { seq: i64 },
    /// The answer to a message that is not understood.
    Error {
        code: &'static str,
        message: &'static str,
    },
}

/// How a connection ends.
enum Disconnect {
    /// The connection was lost, or the subscriber accepts no data.
    Lost,
    /// The subscriber sent its close frame.
    ByClient,
    /// The server closes with this code (RFC 6455, section 7.4.1) and reason.
    ByServer(CloseCode, &'static str),
}

impl Disconnect {
    const STOPPING: Disconnect = Disconnect::ByServer(close_code::AWAY, "the server is stopping");
    const FAILED: Disconnect = Disconnect::ByServer(close_code::ERROR, "internal error");
    const TOO_MANY_FRAMES: Disconnect =
        Disconnect::ByServer(close_code::POLICY, "too many frames per second");

    /// Returns how a connection ends after a read error. After a protocol violation, the server closes it.
    fn from_error(error: axum::Error) -> Disconnect {
        let error = error.into_inner();
        match error.downcast_ref::<tungstenite::Error>() {
            Some(tungstenite::Error::Protocol(violation))
                if !matches!(violation, ProtocolError::ResetWithoutClosingHandshake) =>
            {
                Disconnect::ByServer(close_code::PROTOCOL, "the frame violates RFC 6455")
            }
            Some(tungstenite::Error::Utf8(_)) => {
                Disconnect::ByServer(close_code::INVALID, "the text is not UTF-8")
            }
            Some(tungstenite::Error::Capacity(_)) => {
                Disconnect::ByServer(close_code::SIZE, "messages are limited to 64 KiB")
            }
            Some(tungstenite::Error::Io(error)) if FragmentFlood::is_cause_of(error) => {
                Disconnect::TOO_MANY_FRAMES
            }
            _ => Disconnect::Lost,
        }
    }
}

/// Serves one subscriber until it closes the connection or the server stops. `_slot` counts the connection.
pub(super) async fn serve(
    mut socket: WebSocket,
    app: Arc<App>,
    since: Option<i64>,
    _slot: Reservation,
) {
    // HELLO needs the database, which may be unreachable.
    let connected = tokio::select! {
        connected = Subscriber::send_hello(&mut socket, &app, since) => Some(connected),
        () = app.stopping.cancelled() => None,
    };
    let disconnect = match connected {
        None => Disconnect::STOPPING,
        Some(Ok(mut subscriber)) => subscriber.follow(&mut socket, &app).await,
        Some(Err(error)) => {
            tracing::error!(error = %chain(&error), "could not send HELLO to a subscriber");
            Disconnect::FAILED
        }
    };
    close(socket, disconnect, &app).await;
}

/// Performs the close handshake (RFC 6455, section 7.1). The library queues the reply to a close frame;
/// further reads send it. Messages before the subscriber's close frame are dropped.
async fn close(mut socket: WebSocket, disconnect: Disconnect, app: &App) {
    match disconnect {
        Disconnect::Lost => return,
        Disconnect::ByClient => {}
        Disconnect::ByServer(code, reason) => {
            let reason = reason.into();
            let frame = Message::Close(Some(CloseFrame { code, reason }));
            if send_frame(&mut socket, frame).await.is_err() {
                return;
            }
        }
    }
    let timeout = if app.stopping.is_cancelled() {
        STOPPING_CLOSE_TIMEOUT
    } else {
        CLOSE_TIMEOUT
    };
    let drain = async { while let Some(Ok(_)) = socket.recv().await {} };
    drop(tokio::time::timeout(timeout, drain).await);
}

/// The state of a connection that receives updates.
struct Subscriber {
    /// The sequence number of the last event that was sent.
    seq: i64,
    /// The selected products; `None` for all.
    subscription: Option<HashSet<ProductId>>,
    /// Whether a pong has arrived since the last ping.
    is_alive: bool,
    frames: FrameCounter,
}

impl Subscriber {
    /// Sends HELLO with the current sequence number or `since`, or RESYNC if the events after `since` are not
    /// available any more.
    async fn send_hello(
        socket: &mut WebSocket,
        app: &App,
        since: Option<i64>,
    ) -> Result<Subscriber> {
        // The sequence number includes every event of a request that was answered before.
        app.db.flush_events().await?;
        let (head, tail) = app
            .db
            .read("realtime.hello", |tx| Ok((bus::head(tx)?, bus::tail(tx)?)))
            .await?;
        let (seq, notice) = match since {
            None => (head, LiveMessage::Hello { seq: head }),
            Some(since) if (tail..=head).contains(&since) => {
                (since, LiveMessage::Hello { seq: since })
            }
            Some(_) => (head, LiveMessage::Resync { seq: head }),
        };
        // A lost connection is detected by the next read or write.
        drop(send_json(socket, &notice).await);
        Ok(Subscriber {
            seq,
            subscription: None,
            is_alive: true,
            frames: FrameCounter::default(),
        })
    }

    /// Sends updates until the connection ends.
    async fn follow(&mut self, socket: &mut WebSocket, app: &App) -> Disconnect {
        let mut head = app.bus.watch();
        let interval = app.timeouts.ping_interval;
        let mut ping = tokio::time::interval_at(Instant::now() + interval, interval);
        // After a slow write, the next ping is a full interval away.
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        if let Err(disconnect) = self.catch_up(socket, app).await {
            return disconnect;
        }
        loop {
            let result = tokio::select! {
                () = app.stopping.cancelled() => return Disconnect::STOPPING,
                moved = head.changed() => match moved {
                    Ok(()) => self.catch_up(socket, app).await,
                    Err(_) => return Disconnect::STOPPING,
                },
                message = socket.recv() => match message {
                    Some(Ok(Message::Close(_))) => Err(Disconnect::ByClient),
                    Some(Ok(message)) => match self.frames.count() {
                        Ok(()) => self.receive(socket, message).await,
                        too_many => too_many,
                    },
                    Some(Err(error)) => Err(Disconnect::from_error(error)),
                    None => Err(Disconnect::Lost),
                },
                _ = ping.tick() => self.ping(socket).await,
            };
            if let Err(disconnect) = result {
                return disconnect;
            }
        }
    }

    /// Sends all events after `seq`, one message at a time.
    async fn catch_up(&mut self, socket: &mut WebSocket, app: &App) -> Result<(), Disconnect> {
        while self.seq < app.bus.head() && !app.stopping.is_cancelled() {
            let events = app.bus.after(&app.db, self.seq).await.map_err(|error| {
                tracing::error!(error = %chain(&error), "could not read events for a subscriber");
                Disconnect::FAILED
            })?;
            let Some(last) = events.last().map(|event| event.seq) else {
                return Ok(());
            };
            for update in updates(&events, self.subscription.as_ref()) {
                send_json(socket, &LiveMessage::InventoryUpdate(update)).await?;
            }
            self.seq = last;
        }
        Ok(())
    }

    async fn receive(
        &mut self,
        socket: &mut WebSocket,
        message: Message,
    ) -> Result<(), Disconnect> {
        let text = match message {
            Message::Text(text) => text,
            Message::Pong(_) => {
                self.is_alive = true;
                return Ok(());
            }
            // The library replies to pings, and the caller handles close frames.
            Message::Ping(_) | Message::Close(_) => return Ok(()),
            Message::Binary(_) => {
                return Err(Disconnect::ByServer(
                    close_code::UNSUPPORTED,
                    "send text messages",
                ));
            }
        };
        let Ok(LiveRequest::Subscribe { products }) = serde_json::from_str(&text) else {
            let notice = LiveMessage::Error {
                code: "invalid-message",
                message: "send {\"type\":\"subscribe\",\"productIds\":[…]}",
            };
            return send_json(socket, &notice).await;
        };
        self.subscription = products;
        send_json(socket, &LiveMessage::Subscribed { seq: self.seq }).await
    }

    async fn ping(&mut self, socket: &mut WebSocket) -> Result<(), Disconnect> {
        if !std::mem::take(&mut self.is_alive) {
            return Err(Disconnect::ByServer(
                close_code::POLICY,
                "no pong since the last ping",
            ));
        }
        send_frame(socket, Message::Ping(bytes::Bytes::new())).await
    }
}

/// Counts the frames received in the current second.
#[derive(Default)]
struct FrameCounter {
    since: Option<Instant>,
    count: u32,
}

impl FrameCounter {
    fn count(&mut self) -> Result<(), Disconnect> {
        let now = Instant::now();
        if self
            .since
            .is_none_or(|since| now - since >= Duration::from_secs(1))
        {
            *self = FrameCounter {
                since: Some(now),
                count: 0,
            };
        }
        self.count += 1;
        if self.count > MAX_FRAMES_PER_SECOND {
            return Err(Disconnect::TOO_MANY_FRAMES);
        }
        Ok(())
    }
}

/// Sends a message as JSON.
async fn send_json(socket: &mut WebSocket, message: &impl Serialize) -> Result<(), Disconnect> {
    let text = serde_json::to_string(message).map_err(|_| Disconnect::Lost)?;
    send_frame(socket, Message::Text(text.into())).await
}

async fn send_frame(socket: &mut WebSocket, message: Message) -> Result<(), Disconnect> {
    match tokio::time::timeout(SEND_TIMEOUT, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(Disconnect::Lost),
    }
}
