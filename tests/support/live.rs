//! The shop on a real socket inside the test, and listeners to its live inventory.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use shop::server;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message, client::IntoClientRequest, protocol::CloseFrame},
};
use tokio_util::sync::CancellationToken;

use super::TestShop;

/// How long a listener waits for what must come; past it the test has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A shop of a test, listening on a port of this machine.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Served {
    pub(crate) async fn start(shop: &TestShop) -> Served {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let ending = CancellationToken::new();
        let serving = server::serve(listener, Arc::clone(&shop.app), ending.clone());
        Served {
            address,
            stop: ending,
            task: tokio::spawn(serving),
        }
    }

    /// A listener, greeted: tells what it was greeted with.
    pub(crate) async fn listen(&self, query: &str) -> (Listener, Value) {
        let mut listener = self.knock(query, &[]).await.unwrap();
        let greeting = listener.hear().await;
        (listener, greeting)
    }

    /// A listener that goes on where this one stopped.
    pub(crate) async fn resume(&self, heard: &Heard) -> Listener {
        let (listener, greeting) = self.listen(&format!("?since={}", heard.seq)).await;
        assert_eq!(greeting, json!({ "type": "HELLO", "seq": heard.seq }));
        listener
    }

    /// A handshake with headers of its own; an error is the status that refused it.
    pub(crate) async fn knock(
        &self,
        query: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Listener, u16> {
        Listener::at(&format!("ws://{}", self.address), query, headers).await
    }

    /// Asks the shop to stop, as a signal would.
    pub(crate) fn begin_stop(&self) {
        self.stop.cancel();
    }

    pub(crate) async fn stopped(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

/// One that follows the live inventory.
pub(crate) struct Listener(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Listener {
    /// `server` as `ws://127.0.0.1:40000`, `query` as `?since=1` or nothing.
    pub(crate) async fn at(
        server: &str,
        query: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Listener, u16> {
        let mut request = format!("{server}/api/v1/ws{query}")
            .into_client_request()
            .unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        match connect_async(request).await {
            Ok((socket, _)) => Ok(Listener(socket)),
            Err(Error::Http(refused)) => Err(refused.status().as_u16()),
            Err(error) => panic!("no handshake: {error}"),
        }
    }

    /// The next message.
    pub(crate) async fn hear(&mut self) -> Value {
        let message = self.try_hear().await;
        message.expect("the socket is closed")
    }

    /// The next message; none once the connection is gone.
    pub(crate) async fn try_hear(&mut self) -> Option<Value> {
        match self.next().await? {
            Message::Text(text) => Some(serde_json::from_str(&text).unwrap()),
            other => panic!("not what a listener is told: {other:?}"),
        }
    }

    /// Takes down what is told, up to the message that reaches `seq`.
    pub(crate) async fn follow(&mut self, heard: &mut Heard, seq: i64) {
        while heard.seq < seq {
            heard.note(self.hear().await);
        }
        assert_eq!(heard.seq, seq, "no message reaches beyond it");
    }

    /// Messages up to the one that reaches `seq`.
    pub(crate) async fn hear_up_to(&mut self, seq: i64) -> Vec<Value> {
        let mut heard: Vec<Value> = Vec::new();
        while heard.last().is_none_or(|last| last["seq"] != seq) {
            heard.push(self.hear().await);
        }
        heard
    }

    pub(crate) async fn say(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    /// As [`Listener::say`]; an error if the connection is closed.
    pub(crate) async fn try_say(&mut self, text: &str) -> Result<(), Error> {
        self.0.send(Message::text(text)).await
    }

    /// Sends a ping; an error if the connection is closed.
    pub(crate) async fn ping(&mut self) -> Result<(), Error> {
        self.0.send(Message::Ping(bytes::Bytes::new())).await
    }

    /// The code that the server closes with; what comes before is let through.
    pub(crate) async fn close_code(&mut self) -> u16 {
        loop {
            let message = self.next().await.expect("the socket is closed");
            if let Message::Close(frame) = message {
                // Reading on sends the answer.
                assert!(self.next().await.is_none(), "nothing follows a close frame");
                return frame.unwrap().code.into();
            }
        }
    }

    /// Closes with this code; returns the code of the server's answer.
    pub(crate) async fn close_with(&mut self, code: u16) -> Option<u16> {
        let reason = "".into();
        let frame = CloseFrame {
            code: code.into(),
            reason,
        };
        self.0.close(Some(frame)).await.unwrap();
        match self.next().await? {
            Message::Close(frame) => Some(frame?.code.into()),
            other => panic!("no close frame: {other:?}"),
        }
    }

    pub(crate) async fn leave(mut self) {
        self.0.close(None).await.unwrap();
    }

    async fn next(&mut self) -> Option<Message> {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.0.next())
                .await
                .expect("the shop has said nothing for long");
            match message?.ok()? {
                Message::Ping(_) | Message::Pong(_) => {}
                message => return Some(message),
            }
        }
    }
}

/// What somebody was told on one connection or on several, each of which went on where the last had
/// ended: no number is missing, and none stands there twice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    /// The last number.
    pub(crate) seq: i64,
    pub(crate) updates: Vec<Value>,
    /// The last word on each product.
    pub(crate) stock: BTreeMap<String, i64>,
}

impl Heard {
    /// By somebody whose greeting said `seq`.
    pub(crate) fn since(seq: i64) -> Heard {
        Heard {
            seq,
            ..Heard::default()
        }
    }

    /// Takes down an update.
    pub(crate) fn note(&mut self, update: Value) {
        assert_eq!(update["type"], "INVENTORY_UPDATE", "{update}");
        let seq = update["seq"].as_i64().unwrap();
        let from = update["mergedFrom"].as_i64().unwrap_or(seq);
        assert_eq!(from, self.seq + 1, "{update}");
        self.seq = seq;
        for product in update["products"].as_array().unwrap() {
            let id = product["id"].as_str().unwrap().to_owned();
            let stock = product["stockQuantity"].as_i64().unwrap();
            self.stock.insert(id, stock);
        }
        self.updates.push(update);
    }
}
