//! One listener on one WebSocket (RFC 6455), from HELLO to the close.

use std::{collections::HashSet, sync::Arc, time::Duration};

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use serde::{Deserialize, Serialize};
use tokio::time::MissedTickBehavior;

use super::update::updates;
use crate::{
    bus,
    error::Result,
    event::Committed,
    id::ProductId,
    web::{App, shares::Share},
};

/// How often a listener is pinged; one that has not answered by the next ping is gone.
const PING: Duration = Duration::from_secs(30);

/// How long a message may take to leave. Who takes nothing for so long is gone.
const SEND: Duration = Duration::from_secs(30);

/// What a listener may ask.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
enum Request {
    Subscribe {
        #[serde(rename = "productIds")]
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
    /// The listener left, or does not take what it is sent.
    Gone,
    /// The shop stops: tell it to come back later.
    Stopping,
}

/// Talks to one listener until it leaves or the shop stops.
pub(super) async fn talk(mut socket: WebSocket, app: Arc<App>, since: Option<i64>, _share: Share) {
    // A greeting waits for the events' numbers, and so perhaps for a database that is gone.
    let greeted = tokio::select! {
        greeted = Listener::greet(&mut socket, &app, since) => Some(greeted),
        () = app.stopping.cancelled() => None,
    };
    let end = match greeted {
        None => End::Stopping,
        Some(Ok(mut listener)) => listener.follow(&mut socket, &app).await,
        Some(Err(error)) => {
            tracing::error!(?error, "a listener could not be greeted");
            End::Gone
        }
    };
    if let End::Stopping = end {
        let frame = CloseFrame {
            code: close_code::AWAY,
            reason: "the server is stopping".into(),
        };
        drop(tokio::time::timeout(SEND, socket.send(Message::Close(Some(frame)))).await);
    }
}

struct Listener {
    /// What it was told last.
    seq: i64,
    /// What it wants to hear of; everything, if it did not say.
    wanted: Option<HashSet<ProductId>>,
    answered: bool,
}

impl Listener {
    /// Says HELLO at the newest position or at `since`, or RESYNC where `since` leads nowhere.
    async fn greet(socket: &mut WebSocket, app: &App, since: Option<i64>) -> Result<Listener> {
        // The position covers everything that was acknowledged before.
        app.db.settle().await?;
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
        })
    }

    async fn follow(&mut self, socket: &mut WebSocket, app: &App) -> End {
        let mut head = app.bus.watch();
        let mut ping = tokio::time::interval_at(tokio::time::Instant::now() + PING, PING);
        // A listener that was slow for a while is not asked twice at once.
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        if self.catch_up(socket, app).await.is_err() {
            return End::Gone;
        }
        loop {
            let alive = tokio::select! {
                () = app.stopping.cancelled() => return End::Stopping,
                moved = head.changed() => match moved {
                    Ok(()) => self.catch_up(socket, app).await,
                    Err(_) => return End::Stopping,
                },
                message = socket.recv() => match message {
                    Some(Ok(message)) => self.hear(socket, message).await,
                    _ => Err(Gone),
                },
                _ = ping.tick() => self.ping(socket).await,
            };
            if alive.is_err() {
                return End::Gone;
            }
        }
    }

    /// Sends everything behind the listener's position.
    async fn catch_up(&mut self, socket: &mut WebSocket, app: &App) -> Result<(), Gone> {
        while self.seq < app.bus.head() && !app.stopping.is_cancelled() {
            let events = self.missed(app).await.map_err(|error| {
                tracing::error!(?error, "a listener could not be served");
                Gone
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

    async fn missed(&self, app: &App) -> Result<Vec<Arc<Committed>>> {
        if let Some(events) = app.bus.after(self.seq) {
            Ok(events)
        } else {
            let seq = self.seq;
            app.db
                .scan("realtime.missed", move |tx| bus::events_after(tx, seq))
                .await
        }
    }

    async fn hear(&mut self, socket: &mut WebSocket, message: Message) -> Result<(), Gone> {
        let text = match message {
            Message::Text(text) => text,
            Message::Close(_) => return Err(Gone),
            Message::Pong(_) => {
                self.answered = true;
                return Ok(());
            }
            Message::Ping(_) => return Ok(()),
            Message::Binary(_) => return self.refuse(socket, "send text").await,
        };
        let Ok(Request::Subscribe { products }) = serde_json::from_str(&text) else {
            return self
                .refuse(socket, "send {\"type\":\"subscribe\",\"productIds\":[…]}")
                .await;
        };
        self.wanted = products;
        send(socket, &Notice::Subscribed { seq: self.seq }).await
    }

    async fn refuse(&self, socket: &mut WebSocket, message: &'static str) -> Result<(), Gone> {
        send(
            socket,
            &Notice::Error {
                code: "invalid-message",
                message,
            },
        )
        .await
    }

    async fn ping(&mut self, socket: &mut WebSocket) -> Result<(), Gone> {
        if !std::mem::take(&mut self.answered) {
            return Err(Gone);
        }
        transmit(socket, Message::Ping(bytes::Bytes::new())).await
    }
}

/// The listener does not take what it is sent.
struct Gone;

async fn send(socket: &mut WebSocket, message: &impl Serialize) -> Result<(), Gone> {
    let text = serde_json::to_string(message).map_err(|_| Gone)?;
    transmit(socket, Message::Text(text.into())).await
}

async fn transmit(socket: &mut WebSocket, message: Message) -> Result<(), Gone> {
    match tokio::time::timeout(SEND, socket.send(message)).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(Gone),
    }
}
