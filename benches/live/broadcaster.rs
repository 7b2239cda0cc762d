//! The yardstick: a bare tokio-tungstenite server that sends one message to all its sockets.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use futures_util::SinkExt;
use shop::core::clock::Clock;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::broadcast,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, handshake::derive_accept_key, protocol::Role},
};

/// If this variable is set, the process is this server, for messages like the one in the variable.
pub(crate) const VARIABLE: &str = "BENCH_LIVE_MESSAGE";

pub(crate) fn serve() {
    let message = std::env::var(VARIABLE).expect("the text is UTF-8");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime starts");
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        println!("listening on http://{address}");
        let (_, products) = message.split_once(",\"products\"").expect("products");
        let broadcaster = Arc::new(Broadcaster {
            products: products.to_owned(),
            sequence: AtomicU64::new(1),
            messages: broadcast::channel(16).0,
        });
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            tokio::spawn(Arc::clone(&broadcaster).serve(stream));
        }
    });
}

struct Broadcaster {
    /// The end of each message, after the key.
    products: String,
    sequence: AtomicU64,
    messages: broadcast::Sender<Message>,
}

impl Broadcaster {
    /// Serves a connection: a WebSocket, or one whose requests each send a message.
    async fn serve(self: Arc<Self>, mut stream: TcpStream) {
        let Some(head) = read_head(&mut stream).await else {
            return;
        };
        if head.starts_with("POST") {
            return self.serve_trigger(stream).await;
        }
        let key = head
            .lines()
            .find_map(|line| line.strip_prefix("sec-websocket-key: "));
        let accept = derive_accept_key(key.expect("a key").as_bytes());
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-accept: {accept}\r\n\r\n"
        );
        let mut messages = self.messages.subscribe();
        stream
            .write_all(head.as_bytes())
            .await
            .expect("the client reads");
        let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
        while let Ok(message) = messages.recv().await {
            if socket.send(message).await.is_err() {
                return;
            }
        }
    }

    async fn serve_trigger(&self, mut stream: TcpStream) {
        loop {
            self.broadcast();
            let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
            if stream.write_all(answer).await.is_err() || read_head(&mut stream).await.is_none() {
                return;
            }
        }
    }

    fn broadcast(&self) {
        let seq = self.sequence.fetch_add(1, Ordering::Relaxed);
        let at = Clock::system().now();
        let products = &self.products;
        let message =
            format!(r#"{{"type":"INVENTORY_UPDATE","seq":{seq},"at":"{at}","products"{products}"#);
        drop(self.messages.send(Message::text(message)));
    }
}

/// Reads the head of a request without a body. Returns `None` at the end of the connection.
async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(head).expect("a head is text"))
}
