//! Listeners that mean harm: they ask for much and take nothing, or send without a pause.

use std::time::Duration;

use serde_json::json;
use shop::core::clock::{Clock, Timestamp};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::support::{
    Process, TestShop,
    live::{Heard, Listener, Served},
    storage_test,
};

/// How many events an import of 200,000 products leaves, each of 200 products.
const EVENTS: i64 = 1000;

/// How much more memory the program may take for all listeners, in kB.
const MAX_MORE: usize = 64 * 1024;

/// Writes the events of an import.
fn import(shop: &TestShop) {
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

/// A listener that replays everything and reads nothing; what the kernel holds for it is little.
async fn silent(server: &str) -> WebSocketStream<TcpStream> {
    let address = server.strip_prefix("ws://").unwrap().parse().unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    let stream = socket.connect(address).await.unwrap();
    let request = format!("{server}/api/v1/ws?since=0");
    client_async(request, stream).await.unwrap().0
}

storage_test! {
    async fn many_who_replay_an_import_and_read_nothing_take_little_memory(shop: TestShop) {
        import(&shop);
        let server = Process::of(&shop);
        let at = server.url.replace("http://", "ws://");
        let mut first = Listener::at(&at, "?since=0", &[]).await.unwrap();
        assert_eq!(first.hear().await, json!({ "type": "HELLO", "seq": 0 }));
        let idle = server.memory("VmRSS:");
        // Who reads gets all of it meanwhile.
        let mut heard = Heard::since(0);
        let (silent, ()) = futures_util::future::join(
            futures_util::future::join_all((0..100).map(|_| silent(&at))),
            first.follow(&mut heard, EVENTS),
        )
        .await;
        assert_eq!(heard.stock.len(), 200_000);
        // Until no socket takes any more.
        let mut last = 0;
        while last != server.memory("VmRSS:") {
            last = server.memory("VmRSS:");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let more = server.memory("VmHWM:").saturating_sub(idle);
        assert!(more < MAX_MORE, "100 listeners took {more} kB more than the {idle} kB before");
        drop(silent);
    }

    async fn a_listener_that_sends_without_a_pause_is_closed(shop: TestShop) {
        let served = Served::start(&shop).await;
        let (mut honest, _) = served.listen("").await;
        for flood in ["ping", "text"] {
            let (mut listener, _) = served.listen("").await;
            for _ in 0..1000 {
                let sent = match flood {
                    "ping" => listener.ping().await,
                    _ => listener.try_say("{}").await,
                };
                if sent.is_err() {
                    break;
                }
            }
            assert_eq!(listener.close_code().await, 1008, "{flood}");
        }
        for _ in 0..5 {
            honest.ping().await.unwrap();
            honest.say(r#"{"type":"subscribe"}"#).await;
            assert_eq!(honest.hear().await["type"], "SUBSCRIBED");
        }
        served.stopped().await;
    }
}
