//! Timeouts of idle connections, request heads and bodies.

use std::time::Duration;

use shop::infra::db::Options;
use tokio::time::sleep;

use crate::support::{Engine, Process, TestShop, Wire, live::Served};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn incomplete_heads_time_out_before_idle_connections() {
    let served = served("75s").await;
    let mut idle = Wire::from("127.0.0.1", served.address).await;
    assert_eq!(idle.get("/healthz").await, 200);
    let mut silent = Wire::from("127.0.0.1", served.address).await;
    let mut begun = Wire::from("127.0.0.1", served.address).await;
    assert_eq!(begun.get("/healthz").await, 200);
    begun.send(HEAD).await;
    let mut first = Wire::from("127.0.0.1", served.address).await;
    first.send(HEAD).await;
    sleep(Duration::from_secs(16)).await;
    for wire in [&mut silent, &mut begun, &mut first] {
        assert!(wire.is_closed_now().await);
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
    let directory = tempfile::tempdir().unwrap();
    let process = Process::start(directory.path());
    let body = "POST /api/v1/auth/login HTTP/1.1\r\nhost: shop.test\r\n\
                content-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    let mut slow = Vec::new();
    for _ in 0..200 {
        for start in ["", HEAD, body] {
            let mut wire = Wire::to(&process.url).await;
            wire.send(start).await;
            slow.push((start, wire));
        }
    }
    assert_eq!(Wire::to(&process.url).await.get("/healthz").await, 200);
    sleep(Duration::from_secs(62)).await;
    for (start, mut wire) in slow {
        if start == body {
            assert_eq!(wire.answer().await.0, 408);
        }
        assert!(wire.is_closed_now().await, "{start}");
    }
    process.terminate();
    assert!(process.wait().success());
}
