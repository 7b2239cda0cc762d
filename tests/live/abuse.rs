//! Abusive listeners: they request much and read nothing, or flood the server.

use std::time::Duration;

use serde_json::json;
use shop::core::clock::{Clock, Timestamp};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::support::{
    Process, TestShop,
    live::{Listener, ReceivedUpdates, Served},
    storage_test,
};

/// The events of an import of 200,000 products, with 200 products each.
const EVENTS: i64 = 1000;

/// Maximum additional memory for all listeners, in kB.
const MAX_GROWTH: usize = 64 * 1024;

/// Writes the events of an import.
fn write_import_events(shop: &TestShop) {
    let raw = shop.raw_db();
    let Timestamp(now) = Clock::system().now();
    raw.run("BEGIN");
    for seq in 1..=EVENTS {
        let changes: Vec<_> = (0..200)
            .map(|product| {
                let id = format!("01900000-0000-7000-8000-{:012x}", seq * 200 + product);
                json!({ "id": id, "stockQuantity": 7 })
            })
            .collect();
        let changes = json!(changes);
        raw.run(&format!(
            "INSERT INTO events (seq, at, changes) VALUES ({seq}, {now}, '{changes}')"
        ));
    }
    raw.run("COMMIT");
}

/// Connects a listener that requests all events and reads none, with a small receive buffer.
async fn non_reading_listener(server: &str) -> WebSocketStream<TcpStream> {
    let address = server.strip_prefix("ws://").unwrap().parse().unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    let stream = socket.connect(address).await.unwrap();
    let request = format!("{server}/api/v1/ws?since=0");
    client_async(request, stream).await.unwrap().0
}

storage_test! {
    async fn listeners_that_do_not_read_use_little_memory(shop: TestShop) {
        write_import_events(&shop);
        let server = Process::of(&shop);
        let at = server.url.replace("http://", "ws://");
        let mut first = Listener::at(&at, "?since=0", &[]).await.unwrap();
        assert_eq!(first.receive().await, json!({ "type": "HELLO", "seq": 0 }));
        let idle = server.memory("VmRSS:");
        // A listener that reads receives everything meanwhile.
        let mut heard = ReceivedUpdates::since(0);
        let (silent, ()) = futures_util::future::join(
            futures_util::future::join_all((0..100).map(|_| non_reading_listener(&at))),
            first.follow(&mut heard, EVENTS),
        )
        .await;
        assert_eq!(heard.stock.len(), 200_000);
        // Until all send buffers are full.
        let mut last = 0;
        while last != server.memory("VmRSS:") {
            last = server.memory("VmRSS:");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let more = server.memory("VmHWM:").saturating_sub(idle);
        assert!(more < MAX_GROWTH, "100 listeners took {more} kB in addition to {idle} kB");
        drop(silent);
    }

    async fn a_flooding_listener_is_disconnected(shop: TestShop) {
        let served = Served::start(&shop).await;
        let (mut honest, _) = served.listen("").await;
        for flood in ["ping", "text"] {
            let (mut listener, _) = served.listen("").await;
            for _ in 0..1000 {
                let sent = match flood {
                    "ping" => listener.ping().await,
                    _ => listener.try_send("{}").await,
                };
                if sent.is_err() {
                    break;
                }
            }
            assert_eq!(listener.close_code().await, 1008, "{flood}");
        }
        for _ in 0..5 {
            honest.ping().await.unwrap();
            honest.send(r#"{"type":"subscribe"}"#).await;
            assert_eq!(honest.receive().await["type"], "SUBSCRIBED");
        }
        served.stopped().await;
    }
}
