//! Live inventory by server-sent events.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shop::infra::web::ClientTimeouts;

use super::{change_stock, hello, single};
use crate::support::{
    Process, TestShop, event_stream::EventStream, live::Served, shopping::path, storage_test,
};

fn url(served: &Served) -> String {
    format!("http://{}", served.address)
}

async fn open(served: &Served, query: &str) -> EventStream {
    EventStream::at(&url(served), query, None).await.unwrap()
}

storage_test! {
    async fn an_event_stream_has_the_same_messages_as_a_socket(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let ada = shop.customer("ada").await;
        let served = Served::start(&shop).await;
        let (mut listener, greeting) = served.listen("").await;
        let mut stream = open(&served, "").await;
        assert_eq!(stream.header("content-type"), Some("text/event-stream"));
        assert_eq!(stream.header("cache-control"), Some("no-cache"));
        assert_eq!(stream.header("x-accel-buffering"), Some("no"));
        assert_eq!((stream.receive().await, greeting), (hello(1), hello(1)));

        let order = ada.place_order(&kettle, 2).await;
        ada.post(&format!("{}/cancel", path(&order)), Value::Null).await;
        shop.admin().await.delete(&format!("/products/{kettle}")).await;
        for seq in 2..=4 {
            let message = stream.receive().await;
            assert_eq!(message["seq"], seq);
            assert_eq!(message, listener.receive().await);
        }
        served.stopped().await;
    }

    async fn an_event_stream_resumes_after_the_last_event_id(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 100).await;
        let admin = shop.admin().await;
        for _ in 0..4 {
            change_stock(&admin, &kettle, -1).await;
        }
        let served = Served::start(&shop).await;
        let mut stream = open(&served, "?since=2").await;
        assert_eq!(stream.receive().await, hello(2));
        assert_eq!(single(&stream.receive().await), (3, kettle.clone(), 98));
        drop(stream);
        // A browser repeats the URL.
        let mut stream = EventStream::at(&url(&served), "?since=2", Some("3")).await.unwrap();
        assert_eq!(stream.receive().await, hello(3));
        for (seq, stock) in [(4, 97), (5, 96)] {
            assert_eq!(single(&stream.receive().await), (seq, kettle.clone(), stock));
        }
        let mut unknown = open(&served, "?since=6").await;
        assert_eq!(unknown.receive().await, json!({ "type": "RESYNC", "seq": 5 }));
        for nonsense in ["?since=new", "?sinse=1"] {
            let refused = EventStream::at(&url(&served), nonsense, None).await;
            assert_eq!(refused.err(), Some(400), "{nonsense}");
        }
        let refused = EventStream::at(&url(&served), "", Some("new")).await;
        assert_eq!(refused.err(), Some(400));
        served.stopped().await;
    }

    async fn event_streams_count_as_sockets(shop: TestShop) {
        let shop = shop.with_settings(&[("sockets_per_address", "2")]).await;
        let served = Served::start(&shop).await;
        let (_listener, _) = served.listen("").await;
        let stream = open(&served, "").await;
        assert_eq!(EventStream::at(&url(&served), "", None).await.err(), Some(429));
        assert_eq!(served.connect("", &[]).await.err(), Some(429));
        drop(stream);
        let deadline = Instant::now() + Duration::from_secs(20);
        while EventStream::at(&url(&served), "", None).await.is_err() {
            assert!(Instant::now() < deadline, "the slot was not released");
            tokio::task::yield_now().await;
        }
        served.stopped().await;
    }

    async fn event_streams_end_when_the_server_stops(shop: TestShop) {
        let served = Served::start(&shop).await;
        let mut stream = open(&served, "").await;
        assert_eq!(stream.receive().await, hello(0));
        served.begin_stop();
        assert_eq!(stream.try_receive().await, None);
        served.stopped().await;
    }

    async fn changes_by_another_process_reach_event_streams(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 50).await;
        let server = Process::of(&shop);
        let mut stream = EventStream::at(&server.url, "", None).await.unwrap();
        assert_eq!(stream.receive().await, hello(1));
        let arguments = ["admin", "product", "stock", &kettle, "-7", "--reason", "broken"];
        assert!(shop.run(&arguments).status.success());
        assert_eq!(single(&stream.receive().await), (2, kettle, 43));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_event_stream_has_heartbeats() {
    let timeouts = ClientTimeouts {
        ping_interval: Duration::from_millis(50),
        ..ClientTimeouts::default()
    };
    let shop = TestShop::with_timeouts(timeouts).await;
    let served = Served::start(&shop).await;
    let mut stream = open(&served, "").await;
    assert_eq!(stream.receive().await, hello(0));
    for _ in 0..3 {
        stream.receive_heartbeat().await;
    }
    let mug = shop.product("Mug", 30_000, 5).await;
    assert_eq!(single(&stream.receive().await), (1, mug, 5));
    served.stopped().await;
}
