//! A shop on a real socket in the test process, and listeners to its live inventory.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use shop::server;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinHandle,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, client_async, connect_async,
    tungstenite::{Error, Message, client::IntoClientRequest, protocol::CloseFrame},
};
use tokio_util::sync::CancellationToken;

use super::TestShop;

/// Timeout for an expected message.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A shop that listens on a local port.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    stopping: CancellationToken,
    task: JoinHandle<()>,
}

impl Served {
    pub(crate) async fn start(shop: &TestShop) -> Served {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stopping = CancellationToken::new();
        let serving = server::serve(listener, Arc::clone(&shop.app), stopping.clone());
        Served {
            address,
            stopping,
            task: tokio::spawn(serving),
        }
    }

    /// Connects a listener. Returns it with the greeting.
    pub(crate) async fn listen(&self, query: &str) -> (Listener, Value) {
        let mut listener = self.connect(query, &[]).await.unwrap();
        let greeting = listener.receive().await;
        (listener, greeting)
    }

    /// Connects a listener that continues after the updates received so far.
    pub(crate) async fn resume(&self, received: &ReceivedUpdates) -> Listener {
        let (listener, greeting) = self.listen(&format!("?since={}", received.seq)).await;
        assert_eq!(greeting, json!({ "type": "HELLO", "seq": received.seq }));
        listener
    }

    /// Sends a handshake with additional headers. Errors: the HTTP status of a rejection.
    pub(crate) async fn connect(
        &self,
        query: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Listener, u16> {
        Listener::at(&format!("ws://{}", self.address), query, headers).await
    }

    /// Starts a graceful shutdown, like a signal.
    pub(crate) fn begin_stop(&self) {
        self.stopping.cancel();
    }

    /// Stops the shop and waits for it.
    pub(crate) async fn stopped(self) {
        self.stopping.cancel();
        self.task.await.unwrap();
    }
}

/// A listener to the live inventory.
pub(crate) struct Listener(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Listener {
    /// Connects to `server`, e.g. `ws://127.0.0.1:40000`. `query` is e.g. `?since=1`, or empty.
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

    /// Like [`Listener::at`], of a server that may be killed. Errors: there is no connection.
    pub(crate) async fn try_at(server: &str, query: &str) -> Result<Listener, Error> {
        let (socket, _) = connect_async(format!("{server}/api/v1/ws{query}")).await?;
        Ok(Listener(socket))
    }

    /// Like [`Listener::at`], with a small receive buffer, which is full soon if the listener does not read.
    pub(crate) async fn with_small_buffer(server: &str, query: &str) -> Listener {
        let address = server.strip_prefix("ws://").unwrap().parse().unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(16 * 1024).unwrap();
        let stream = MaybeTlsStream::Plain(socket.connect(address).await.unwrap());
        let request = format!("{server}/api/v1/ws{query}");
        Listener(client_async(request, stream).await.unwrap().0)
    }

    /// Returns the next message.
    pub(crate) async fn receive(&mut self) -> Value {
        let message = self.try_receive().await;
        message.expect("the socket is closed")
    }

    /// Returns the next message, or `None` if the connection is closed.
    pub(crate) async fn try_receive(&mut self) -> Option<Value> {
        match self.next().await? {
            Message::Text(text) => Some(serde_json::from_str(&text).unwrap()),
            other => panic!("unexpected message: {other:?}"),
        }
    }

    /// Records updates up to the one that reaches `seq`.
    pub(crate) async fn follow(&mut self, received: &mut ReceivedUpdates, seq: i64) {
        while received.seq < seq {
            received.record(self.receive().await);
        }
        assert_eq!(received.seq, seq, "no message goes beyond it");
    }

    /// Returns the messages up to the one that reaches `seq`.
    pub(crate) async fn receive_up_to(&mut self, seq: i64) -> Vec<Value> {
        let mut received: Vec<Value> = Vec::new();
        while received.last().is_none_or(|last| last["seq"] != seq) {
            received.push(self.receive().await);
        }
        received
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    /// Like [`Listener::send`]. Errors if the connection is closed.
    pub(crate) async fn try_send(&mut self, text: &str) -> Result<(), Error> {
        self.0.send(Message::text(text)).await
    }

    /// Sends a ping. Errors if the connection is closed.
    pub(crate) async fn ping(&mut self) -> Result<(), Error> {
        self.0.send(Message::Ping(bytes::Bytes::new())).await
    }

    /// Returns the code with which the server closes the connection. Ignores messages before the close frame.
    pub(crate) async fn close_code(&mut self) -> u16 {
        loop {
            let message = self.next().await.expect("the socket is closed");
            if let Message::Close(frame) = message {
                // A further read sends the reply.
                assert!(self.next().await.is_none(), "nothing follows a close frame");
                return frame.unwrap().code.into();
            }
        }
    }

    /// Closes the connection with this code. Returns the code of the server's reply.
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
            let message = tokio::time::timeout(TIMEOUT, self.0.next())
                .await
                .expect("timeout: no message from the shop");
            match message?.ok()? {
                Message::Ping(_) | Message::Pong(_) => {}
                message => return Some(message),
            }
        }
    }
}

/// The updates received on one or more consecutive connections. Their numbers have neither gaps nor repeats.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ReceivedUpdates {
    /// The last sequence number.
    pub(crate) seq: i64,
    pub(crate) updates: Vec<Value>,
    /// The latest stock of each product.
    pub(crate) stock: BTreeMap<String, i64>,
    /// The latest stock of each variant of products with options.
    pub(crate) variants: BTreeMap<String, i64>,
}

impl ReceivedUpdates {
    /// Starts after the position of a greeting.
    pub(crate) fn since(seq: i64) -> ReceivedUpdates {
        ReceivedUpdates {
            seq,
            ..ReceivedUpdates::default()
        }
    }

    /// Records an update and checks that it follows the last one.
    pub(crate) fn record(&mut self, update: Value) {
        assert_eq!(update["type"], "INVENTORY_UPDATE", "{update}");
        let seq = update["seq"].as_i64().unwrap();
        let from = update["mergedFrom"].as_i64().unwrap_or(seq);
        assert_eq!(from, self.seq + 1, "{update}");
        self.seq = seq;
        for product in update["products"].as_array().unwrap() {
            let id = product["id"].as_str().unwrap().to_owned();
            let stock = product["stockQuantity"].as_i64().unwrap();
            self.stock.insert(id, stock);
            let variants = product["variants"].as_array();
            for variant in variants.into_iter().flatten() {
                let id = variant["id"].as_str().unwrap().to_owned();
                let stock = variant["stockQuantity"].as_i64().unwrap();
                self.variants.insert(id, stock);
            }
        }
        self.updates.push(update);
    }
}
