//! One listener on one WebSocket (RFC 6455), from HELLO to the close.

use std::{collections::HashSet, sync::Arc, time::Duration};

use axum::extract::ws::{CloseCode, CloseFrame, Message, WebSocket, close_code};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, MissedTickBehavior};
use tungstenite::error::ProtocolError;

use super::update::updates;
use crate::{
    app::App,
    core::{error::Result, id::ProductId},
    infra::{
        bus,
        web::{extract::present, shares::Share},
    },
};

/// How often a listener is pinged; one that has not answered by the next ping is gone.
const PING: Duration = Duration::from_secs(30);

/// How many messages and control frames a listener may send in a second; each costs work, and a ping is
/// answered.
const MAX_FRAMES: u32 = 50;

/// How long a message may take to leave. Who takes nothing for so long is gone.
const SEND: Duration = Duration::from_secs(30);

/// How long a close handshake waits for the listener's close frame.
const CLOSE: Duration = Duration::from_secs(5);

/// The same while the server is stopping.
const STOPPING_CLOSE: Duration = Duration::from_secs(1);

/// What a listener may ask.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
enum Request {
    Subscribe {
        #[serde(rename = "productIds", default, deserialize_with = "present")]
        products: Option<HashSet<ProductId>>,
    },
}

/// What a listener is told beside updates.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "UPPERCASE")]
enum Notice {
    Hello {
        seq: i64,
    },
    Resync {
        seq: i64,
    },
    Subscribed {
        seq: i64,
    },
    Error {
        code: &'static str,
        message: &'static str,
    },
}

/// Why a conversation ended.
enum End {
    /// The connection is lost, or the listener does not take what it is sent.
    Gone,
    /// The listener sent its close frame.
    Left,
    /// The server closes with this code (RFC 6455, section 7.4.1) and reason.
    Close(CloseCode, &'static str),
}

impl End {
    const STOPPING: End = End::Close(close_code::AWAY, "the server is stopping");
    const FAILED: End = End::Close(close_code::ERROR, "internal error");

    /// Returns the close code for what could not be read: what breaks the protocol fails the connection.
    fn of(error: axum::Error) -> End {
        let error = error.into_inner();
        match error.downcast_ref::<tungstenite::Error>() {
            Some(tungstenite::Error::Protocol(violation))
                if !matches!(violation, ProtocolError::ResetWithoutClosingHandshake) =>
            {
                End::Close(close_code::PROTOCOL, "the frame violates RFC 6455")
            }
            Some(tungstenite::Error::Utf8(_)) => {
                End::Close(close_code::INVALID, "the text is not UTF-8")
            }
            Some(tungstenite::Error::Capacity(_)) => {
                End::Close(close_code::SIZE, "a message has at most 64 KiB")
            }
            _ => End::Gone,
        }
    }
}

/// Talks to one listener until it leaves or the shop stops.
pub(super) async fn talk(mut socket: WebSocket, app: Arc<App>, since: Option<i64>, _share: Share) {
    // A greeting waits for the events' numbers, and so perhaps for a database that is gone.
    let greeted = tokio::select! {
        greeted = Listener::greet(&mut socket, &app, since) => Some(greeted),
        () = app.stopping.cancelled() => None,
    };
    let end = match greeted {
        None => End::STOPPING,
        Some(Ok(mut listener)) => listener.follow(&mut socket, &app).await,
        Some(Err(error)) => {
            tracing::error!(?error, "a listener could not be greeted");
            End::FAILED
        }
    };
    close(socket, end, &app).await;
}

/// The close handshake (RFC 6455, section 7.1). The library queues the answer to a close frame, and reading
/// on sends it. What comes before the listener's own close frame is dropped.
async fn close(mut socket: WebSocket, end: End, app: &App) {
    match end {
        End::Gone => return,
        End::Left => {}
        End::Close(code, reason) => {
            let reason = reason.into();
            let frame = Message::Close(Some(CloseFrame { code, reason }));
            if transmit(&mut socket, frame).await.is_err() {
                return;
            }
        }
    }
    let limit = if app.stopping.is_cancelled() {
        STOPPING_CLOSE
    } else {
        CLOSE
    };
    let rest = async { while let Some(Ok(_)) = socket.recv().await {} };
    drop(tokio::time::timeout(limit, rest).await);
}

struct Listener {
    /// What it was told last.
    seq: i64,
    /// What it wants to hear of; everything, if it did not say.
    wanted: Option<HashSet<ProductId>>,
    answered: bool,
    frames: Frames,
}

impl Listener {
    /// Says HELLO at the newest position or at `since`, or RESYNC where `since` leads nowhere.
    async fn greet(socket: &mut WebSocket, app: &App, since: Option<i64>) -> Result<Listener> {
        // The position covers everything that was acknowledged before.
        app.db.flush_events().await?;
        let (head, tail) = app
            .db
            .read("realtime.greet", |tx| Ok((bus::head(tx)?, bus::tail(tx)?)))
            .await?;
        let (seq, notice) = match since {
            None => (head, Notice::Hello { seq: head }),
            Some(since) if (tail..=head).contains(&since) => (since, Notice::Hello { seq: since }),
            Some(_) => (head, Notice::Resync { seq: head }),
        };
        // A listener that is gone already is found out by what follows.
        drop(send(socket, &notice).await);
        Ok(Listener {
            seq,
            wanted: None,
            answered: true,
            frames: Frames::default(),
        })
    }

    async fn follow(&mut self, socket: &mut WebSocket, app: &App) -> End {
        let mut head = app.bus.watch();
        let mut ping = tokio::time::interval_at(Instant::now() + PING, PING);
        // A listener that was slow for a while is not asked twice at once.
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        if let Err(end) = self.catch_up(socket, app).await {
            return end;
        }
        loop {
            let alive = tokio::select! {
                () = app.stopping.cancelled() => return End::STOPPING,
                moved = head.changed() => match moved {
                    Ok(()) => self.catch_up(socket, app).await,
                    Err(_) => return End::STOPPING,
                },
                message = socket.recv() => match message {
                    Some(Ok(Message::Close(_))) => Err(End::Left),
                    Some(Ok(message)) => match self.frames.count() {
                        Ok(()) => self.hear(socket, message).await,
                        flooding => flooding,
                    },
                    Some(Err(error)) => Err(End::of(error)),
                    None => Err(End::Gone),
                },
                _ = ping.tick() => self.ping(socket).await,
            };
            if let Err(end) = alive {
                return end;
            }
        }
    }

    /// Sends everything after the listener's position, one message at a time.
    async fn catch_up(&mut self, socket: &mut WebSocket, app: &App) -> Result<(), End> {
        while self.seq < app.bus.head() && !app.stopping.is_cancelled() {
            let events = app.bus.after(&app.db, self.seq).await.map_err(|error| {
                tracing::error!(?error, "could not read events for a listener");
                End::FAILED
            })?;
            let Some(last) = events.last().map(|event| event.seq) else {
                return Ok(());
            };
            for update in updates(&events, self.wanted.as_ref()) {
                send(socket, &update).await?;
            }
            self.seq = last;
        }
        Ok(())
    }

    async fn hear(&mut self, socket: &mut WebSocket, message: Message) -> Result<(), End> {
        let text = match message {
            Message::Text(text) => text,
            Message::Pong(_) => {
                self.answered = true;
                return Ok(());
            }
            // The library answers a ping; a close frame ends the conversation before.
            Message::Ping(_) | Message::Close(_) => return Ok(()),
            Message::Binary(_) => return Err(End::Close(close_code::UNSUPPORTED, "send text")),
        };
        let Ok(Request::Subscribe { products }) = serde_json::from_str(&text) else {
            let notice = Notice::Error {
                code: "invalid-message",
                message: "send {\"type\":\"subscribe\",\"productIds\":[…]}",
            };
            return send(socket, &notice).await;
        };
        self.wanted = products;
        send(socket, &Notice::Subscribed { seq: self.seq }).await
    }

    async fn ping(&mut self, socket: &mut WebSocket) -> Result<(), End> {
        if !std::mem::take(&mut self.answered) {
            return Err(End::Close(
                close_code::POLICY,
                "no pong since the last ping",
            ));
        }
        transmit(socket, Message::Ping(bytes::Bytes::new())).await
    }
}

/// The frames that came in the current second.
#[derive(Default)]
struct Frames {
    since: Option<Instant>,
    count: u32,
}

impl Frames {
    fn count(&mut self) -> Result<(), End> {
        let now = Instant::now();
        if self
            .since
            .is_none_or(|since| now - since >= Duration::from_secs(1))
        {
            *self = Frames {
                since: Some(now),
                count: 0,
            };
        }
        self.count += 1;
        if self.count > MAX_FRAMES {
            let reason = "too many frames in a second";
            return Err(End::Close(close_code::POLICY, reason));
        }
        Ok(())
    }
}

async fn send(socket: &mut WebSocket, message: &impl Serialize) -> Result<(), End> {
    let text = serde_json::to_string(message).map_err(|_| End::Gone)?;
    transmit(socket, Message::Text(text.into())).await
}

async fn transmit(socket: &mut WebSocket, message: Message) -> Result<(), End> {
    match tokio::time::timeout(SEND, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(End::Gone),
    }
}
