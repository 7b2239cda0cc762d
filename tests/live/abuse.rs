//! Abusive listeners: they request much and read nothing, or flood the server.

use std::{collections::BTreeMap, ops::RangeInclusive, time::Duration};

use serde_json::json;
use shop::{
    core::clock::{Clock, Timestamp},
    infra::web::ClientTimeouts,
};
use tokio::time::{Instant, timeout_at};

use crate::support::{
    Process, TestShop,
    event_stream::EventStream,
    live::{Listener, ReceivedUpdates, Served},
    storage_test,
};

/// The events of an import of 200,000 products, with 200 products each.
const EVENTS: i64 = 1000;

/// Maximum additional memory for all listeners, in kB.
const MAX_GROWTH: usize = 64 * 1024;

/// Writes events of 200 products each. `change` returns the number and the new stock of a product of an event.
fn write_events(
    shop: &TestShop,
    events: RangeInclusive<i64>,
    change: impl Fn(i64, i64) -> (i64, i64),
) {
    let raw = shop.raw_db();
    let Timestamp(now) = Clock::system().now();
    raw.run("BEGIN");
    for seq in events {
        let changes = (0..200).map(|product| {
            let (number, stock) = change(seq, product);
            json!({ "id": product_id(number), "stockQuantity": stock })
        });
        let changes = json!(changes.collect::<Vec<_>>());
        raw.run(&format!(
            "INSERT INTO events (seq, at, changes) VALUES ({seq}, {now}, '{changes}')"
        ));
    }
    raw.run("COMMIT");
}

fn product_id(number: i64) -> String {
    format!("01900000-0000-7000-8000-{number:012x}")
}

storage_test! {
    async fn listeners_that_do_not_read_use_little_memory(shop: TestShop) {
        write_events(&shop, 1..=EVENTS, |seq, product| (seq * 200 + product, 7));
        let server = Process::of(&shop);
        let at = server.url.replace("http://", "ws://");
        let mut first = Listener::at(&at, "?since=0", &[]).await.unwrap();
        assert_eq!(first.receive().await, json!({ "type": "HELLO", "seq": 0 }));
        let idle = server.memory("VmRSS:");
        // A listener that reads receives everything in the meantime.
        let mut received = ReceivedUpdates::since(0);
        let sockets = (0..50).map(|_| Listener::with_small_buffer(&at, "?since=0"));
        let streams = (0..50).map(|_| EventStream::unread(&server.url, "?since=0"));
        let (silent, (), also_silent) = futures_util::future::join3(
            futures_util::future::join_all(sockets),
            first.follow(&mut received, EVENTS),
            futures_util::future::join_all(streams),
        )
        .await;
        assert_eq!(received.stock.len(), 200_000);
        // Until all send buffers are full.
        let mut last = 0;
        while last != server.memory("VmRSS:") {
            last = server.memory("VmRSS:");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let more = server.memory("VmHWM:").saturating_sub(idle);
        assert!(more < MAX_GROWTH, "100 listeners took {more} kB in addition to {idle} kB");
        drop((silent, also_silent));
    }

    async fn a_listener_that_does_not_read_delays_no_other_and_can_catch_up(shop: TestShop) {
        let server = Process::of(&shop);
        let at = server.url.replace("http://", "ws://");
        let hello = json!({ "type": "HELLO", "seq": 0 });
        let mut slow = Listener::with_small_buffer(&at, "").await;
        assert_eq!(slow.receive().await, hello);
        let mut other = Listener::at(&at, "", &[]).await.unwrap();
        assert_eq!(other.receive().await, hello);
        let idle = server.memory("VmRSS:");
        // Each event changes 200 of 2000 products: more data than all buffers between server and client can hold.
        let change = |seq: i64, product| (seq % 10 * 200 + product, seq);
        let mut received = ReceivedUpdates::since(0);
        for last in (100..=EVENTS).step_by(100) {
            write_events(&shop, last - 99..=last, change);
            other.follow(&mut received, last).await;
        }
        let more = server.memory("VmHWM:").saturating_sub(idle);
        assert!(more < MAX_GROWTH, "the listener took {more} kB in addition to {idle} kB");
        // Finally it reads. It resumes where it was if the server has disconnected it.
        let mut late = ReceivedUpdates::since(0);
        while late.seq < EVENTS {
            if let Some(update) = slow.try_receive().await {
                late.record(update);
                continue;
            }
            slow = Listener::at(&at, &format!("?since={}", late.seq), &[]).await.unwrap();
            assert_eq!(slow.receive().await, json!({ "type": "HELLO", "seq": late.seq }));
        }
        let last_events = EVENTS - 9..=EVENTS;
        let stock = last_events.flat_map(|seq| (0..200).map(move |product| change(seq, product)));
        let stock: BTreeMap<String, i64> =
            stock.map(|(number, stock)| (product_id(number), stock)).collect();
        assert_eq!((received.stock, late.stock), (stock.clone(), stock));
    }

    async fn a_flooding_listener_is_disconnected(shop: TestShop) {
        let served = Served::start(&shop).await;
        let (mut other, _) = served.listen("").await;
        for flood in ["ping", "{}", ""] {
            let (mut listener, _) = served.listen("").await;
            for _ in 0..1000 {
                let sent = match flood {
                    "ping" => listener.ping().await,
                    text => listener.try_send(text).await,
                };
                if sent.is_err() {
                    break;
                }
            }
            assert_eq!(listener.close_code().await, 1008, "{flood}");
        }
        for _ in 0..5 {
            other.ping().await.unwrap();
            other.send(r#"{"type":"subscribe"}"#).await;
            assert_eq!(other.receive().await["type"], "SUBSCRIBED");
        }
        served.stopped().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listener_that_sends_no_pong_is_disconnected() {
    let ping_interval = Duration::from_secs(4);
    let timeouts = ClientTimeouts {
        ping_interval,
        ..ClientTimeouts::default()
    };
    let shop = TestShop::with_timeouts(timeouts).await;
    let served = Served::start(&shop).await;
    let (mut other, _) = served.listen("").await;
    let (mut silent, _) = served.listen("").await;
    // Long enough for two pings. Only reading sends a pong.
    let end = Instant::now() + 3 * ping_interval;
    while Instant::now() < end {
        let next_second = end.min(Instant::now() + Duration::from_secs(1));
        let received = timeout_at(next_second, other.try_receive()).await;
        assert!(received.is_err(), "{received:?}");
    }
    assert_eq!(silent.close_code().await, 1008);
    let mug = shop.product("Mug", 30_000, 5).await;
    assert_eq!(other.receive().await["products"][0]["id"], mug);
    served.stopped().await;
}
