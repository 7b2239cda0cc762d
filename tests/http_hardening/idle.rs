//! Timeouts of idle connections, request heads and bodies.

use std::time::Duration;

use shop::{
    infra::{db::Options, web::ClientTimeouts},
    server::file_limit,
};
use tokio::time::sleep;

use crate::support::{Engine, TestShop, Wire, live::Served};

async fn served(keep_alive: &str) -> Served {
    let settings = [("rate_limit", "off"), ("keep_alive", keep_alive)];
    let shop = TestShop::with(Engine::Sqlite, &settings, Options::default()).await;
    Served::start(&shop.unwrap()).await
}

const HEAD: &str = "GET /healthz HTTP/1.1\r\nhost: shop.test\r\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_close_after_keep_alive() {
    let served = served("2s").await;
    let mut kept = Wire::from("127.0.0.1", served.address).await;
    for _ in 0..3 {
        assert_eq!(kept.get("/healthz").await, 200);
        sleep(Duration::from_millis(1200)).await;
    }
    // A new connection is not idle, nor is one with an incomplete head.
    let mut new = Wire::from("127.0.0.1", served.address).await;
    kept.send(HEAD).await;
    let mut idle = Wire::from("127.0.0.1", served.address).await;
    assert_eq!(idle.get("/healthz").await, 200);
    assert!(idle.is_closed().await);
    sleep(Duration::from_millis(500)).await;
    kept.send("\r\n").await;
    assert_eq!(kept.answer().await.0, 200);
    assert_eq!(new.get("/healthz").await, 200);
    served.stopped().await;
}

/// Serves a shop that waits for its clients no longer than this.
async fn served_with(timeouts: ClientTimeouts) -> Served {
    Served::start(&TestShop::with_timeouts(timeouts).await).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn incomplete_heads_time_out_before_idle_connections() {
    let head = Duration::from_secs(5);
    let served = served_with(ClientTimeouts {
        head,
        ..ClientTimeouts::default()
    })
    .await;
    let mut idle = Wire::from("127.0.0.1", served.address).await;
    assert_eq!(idle.get("/healthz").await, 200);
    let mut silent = Wire::from("127.0.0.1", served.address).await;
    let mut begun = Wire::from("127.0.0.1", served.address).await;
    assert_eq!(begun.get("/healthz").await, 200);
    begun.send(HEAD).await;
    let mut first = Wire::from("127.0.0.1", served.address).await;
    first.send(HEAD).await;
    for wire in [&mut silent, &mut begun, &mut first] {
        assert!(wire.is_closed().await);
    }
    assert_eq!(
        idle.get("/healthz").await,
        200,
        "a load balancer may reuse it"
    );
    served.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hundreds_of_slow_clients_are_disconnected_after_their_timeouts() {
    // Both ends of each connection are in this process.
    file_limit::raise_file_limit();
    let served = served_with(ClientTimeouts {
        head: Duration::from_secs(3),
        request: Duration::from_secs(6),
        ..ClientTimeouts::default()
    })
    .await;
    let body = "POST /api/v1/auth/login HTTP/1.1\r\nhost: shop.test\r\n\
                content-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    let mut slow = Vec::new();
    for _ in 0..200 {
        for start in ["", HEAD, body] {
            let mut wire = Wire::from("127.0.0.1", served.address).await;
            wire.send(start).await;
            slow.push((start, wire));
        }
    }
    let mut other = Wire::from("127.0.0.1", served.address).await;
    assert_eq!(other.get("/healthz").await, 200);
    for (start, mut wire) in slow {
        if start == body {
            assert_eq!(wire.answer().await.0, 408);
        }
        assert!(wire.is_closed().await, "{start}");
    }
    served.stopped().await;
}
