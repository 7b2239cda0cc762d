//! The WebSocket connection of one subscriber (RFC 6455), from HELLO to the close handshake.

use std::{collections::HashSet, sync::Arc, time::Duration};

use axum::extract::ws::{CloseCode, CloseFrame, Message, Utf8Bytes, WebSocket, close_code};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, MissedTickBehavior};
use tungstenite::error::ProtocolError;
use utoipa::ToSchema;

use super::feed::Feed;
use crate::{
    app::App,
    core::{
        error::{Error, Result, chain},
        id::ProductId,
    },
    domain::realtime::{batch::Batch, message::LiveMessage},
    infra::web::{FragmentFlood, client_quota::Reservation, extract::deserialize_some},
};

/// Maximum number of messages and control frames from one subscriber per second.
const MAX_FRAMES_PER_SECOND: u32 = 50;

/// Maximum number of consecutive messages that are not understood.
const MAX_INVALID_MESSAGES: u32 = 10;

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
    const TOO_MANY_FRAMES: Disconnect =
        Disconnect::ByServer(close_code::POLICY, "too many frames per second");
    const TOO_MANY_INVALID: Disconnect =
        Disconnect::ByServer(close_code::POLICY, "too many invalid messages");

    /// Returns how a connection ends after an error of the server.
    fn failed(error: &Error) -> Disconnect {
        tracing::error!(error = %chain(error), "could not send updates to a subscriber");
        Disconnect::ByServer(close_code::ERROR, "internal error")
    }

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
    let opened = tokio::select! {
        opened = Feed::open(Arc::clone(&app), since) => Some(opened),
        () = app.stopping.cancelled() => None,
    };
    let disconnect = match opened {
        None => Disconnect::STOPPING,
        Some(Ok((feed, greeting))) => {
            let mut subscriber = Subscriber::new(feed);
            match subscriber.send(&mut socket, greeting).await {
                Ok(()) => subscriber.follow(&mut socket, &app).await,
                Err(disconnect) => disconnect,
            }
        }
        Some(Err(error)) => Disconnect::failed(&error),
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
    feed: Feed,
    /// Whether a pong has arrived since the last ping.
    is_alive: bool,
    frames: FrameCounter,
    /// The number of invalid messages since the last valid one.
    invalid_messages: u32,
}

impl Subscriber {
    fn new(feed: Feed) -> Subscriber {
        Subscriber {
            feed,
            is_alive: true,
            frames: FrameCounter::default(),
            invalid_messages: 0,
        }
    }

    /// Sends updates until the connection ends.
    async fn follow(&mut self, socket: &mut WebSocket, app: &App) -> Disconnect {
        let interval = app.timeouts.ping_interval;
        let mut ping = tokio::time::interval_at(Instant::now() + interval, interval);
        // After a slow write, the next ping is a full interval away.
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let result = tokio::select! {
                () = app.stopping.cancelled() => return Disconnect::STOPPING,
                batch = self.feed.next() => match batch {
                    Ok(Some(batch)) => self.send(socket, batch).await,
                    Ok(None) => return Disconnect::STOPPING,
                    Err(error) => return Disconnect::failed(&error),
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

    async fn send(&mut self, socket: &mut WebSocket, batch: Batch) -> Result<(), Disconnect> {
        for message in batch {
            self.feed.count();
            send_json(socket, message.map(|message| message.json)).await?;
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
            self.invalid_messages += 1;
            if self.invalid_messages > MAX_INVALID_MESSAGES {
                return Err(Disconnect::TOO_MANY_INVALID);
            }
            let notice = LiveMessage::Error {
                code: "invalid-message",
                message: "send {\"type\":\"subscribe\",\"productIds\":[…]}",
            };
            return send_json(socket, notice.to_json()).await;
        };
        self.invalid_messages = 0;
        self.feed.subscription = products.map(Arc::new);
        let seq = self.feed.seq();
        send_json(socket, LiveMessage::Subscribed { seq }.to_json()).await
    }

    async fn ping(&mut self, socket: &mut WebSocket) -> Result<(), Disconnect> {
        if !std::mem::take(&mut self.is_alive) {
            return Err(Disconnect::ByServer(
                close_code::POLICY,
                "no pong since the last ping",
            ));
        }
        send_frame(socket, Message::Ping(Bytes::new())).await
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

/// Sends JSON, which is shared by all subscribers that get it.
async fn send_json(socket: &mut WebSocket, json: Result<Bytes>) -> Result<(), Disconnect> {
    let text = json
        .and_then(|json| Utf8Bytes::try_from(json).map_err(Error::internal))
        .map_err(|error| Disconnect::failed(&error))?;
    send_frame(socket, Message::Text(text)).await
}

async fn send_frame(socket: &mut WebSocket, message: Message) -> Result<(), Disconnect> {
    match tokio::time::timeout(SEND_TIMEOUT, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(Disconnect::Lost),
    }
}
