//! Limits for connections, and which ones are closed when there are too many.

use std::{process::Command, sync::Arc, time::Duration};

use shop::{
    core::error::Error,
    infra::{db::Options, web::single_flight::SharedCheck},
};

use crate::support::{Engine, Process, TestShop, Wire, address, live::Served};

async fn served(settings: &[(&str, &str)]) -> Served {
    let shop = TestShop::with(Engine::Sqlite, settings, Options::default()).await;
    Served::start(&shop.unwrap()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_network_gets_a_quarter_of_the_connections() {
    let served = served(&[("rate_limit", "on"), ("max_connections", "16")]).await;
    let mut held = Vec::new();
    for _ in 0..4 {
        let mut wire = Wire::from("127.0.0.2", served.address).await;
        assert_eq!(wire.get("/healthz").await, 200);
        held.push(wire);
    }
    let mut fifth = Wire::from("127.0.0.2", served.address).await;
    assert!(fifth.is_closed().await);
    let mut other = Wire::from("127.0.0.3", served.address).await;
    assert_eq!(other.get("/healthz").await, 200);
    for wire in &mut held {
        assert_eq!(wire.get("/healthz").await, 200);
    }
    served.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_server_closes_the_longest_idle_connection() {
    let served = served(&[("rate_limit", "off"), ("max_connections", "8")]).await;
    let mut held = Vec::new();
    for _ in 0..8 {
        let mut wire = Wire::from("127.0.0.1", served.address).await;
        assert_eq!(wire.get("/healthz").await, 200);
        held.push(wire);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // After a second connections are idle. The first is used once more, so the second is idle longest.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(held[0].get("/healthz").await, 200);
    let mut ninth = Wire::from("127.0.0.1", served.address).await;
    assert_eq!(ninth.get("/healthz").await, 200);
    assert!(held.remove(1).is_closed().await);
    for wire in &mut held {
        assert_eq!(wire.get("/healthz").await, 200);
    }
    served.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_in_progress_are_not_evicted() {
    let served = served(&[("rate_limit", "off"), ("max_connections", "2")]).await;
    let mut upload = Wire::from("127.0.0.1", served.address).await;
    let head = "POST /api/v1/auth/login HTTP/1.1\r\nhost: shop.test\r\ncontent-type: \
                application/json\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n";
    let mut idle = Wire::from("127.0.0.1", served.address).await;
    assert_eq!(idle.get("/healthz").await, 200);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    upload.send(head).await;
    assert_eq!(upload.answer().await.0, 100);
    let mut third = Wire::from("127.0.0.1", served.address).await;
    assert_eq!(third.get("/healthz").await, 200);
    assert!(idle.is_closed().await, "the idle one was closed");
    upload.send("{}").await;
    assert_eq!(upload.answer().await.0, 422);
    served.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_to_a_full_server_count_for_their_network() {
    let served = served(&[("rate_limit", "on"), ("max_connections", "8")]).await;
    let mut held = Vec::new();
    for network in [2, 2, 3, 3, 4, 4, 5, 5] {
        let mut wire = Wire::from(&format!("127.0.0.{network}"), served.address).await;
        assert_eq!(wire.get("/healthz").await, 200);
        held.push(wire);
    }
    // Idle for long enough to be evicted.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let mut others = Vec::new();
    for _ in 0..2 {
        let mut wire = Wire::from("127.0.0.6", served.address).await;
        assert_eq!(wire.get("/healthz").await, 200);
        others.push(wire);
    }
    let mut third = Wire::from("127.0.0.6", served.address).await;
    assert!(third.is_closed().await, "two are a quarter of eight");
    for wire in &mut others {
        assert_eq!(wire.get("/healthz").await, 200);
    }
    served.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_behind_a_proxy_are_counted_by_request() {
    let settings = [
        ("rate_limit", "on"),
        ("max_connections", "8"),
        ("trusted_proxies", "127.0.0.1"),
    ];
    let served = served(&settings).await;
    let slow = async |client: &str| {
        let mut wire = Wire::from("127.0.0.1", served.address).await;
        wire.send(&format!(
            "POST /api/v1/auth/login HTTP/1.1\r\nhost: shop.test\r\nx-forwarded-for: {client}\r\n\
             content-type: application/json\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n"
        ))
        .await;
        (wire.answer().await.0, wire)
    };
    // The proxy's connections are not limited; each client may have a quarter of the requests.
    let mut held = Vec::new();
    for (client, status) in [
        ("198.51.100.1", 100),
        ("198.51.100.1", 100),
        ("198.51.100.1", 503),
        ("198.51.100.2", 100),
    ] {
        let (answered, wire) = slow(client).await;
        assert_eq!(answered, status, "{client}");
        held.push(wire);
    }
    for (n, wire) in held.iter_mut().enumerate().filter(|(n, _)| *n != 2) {
        wire.send("{}").await;
        assert_eq!(wire.answer().await.0, 422, "{n}");
    }
    let (answered, _wire) = slow("198.51.100.1").await;
    assert_eq!(answered, 100, "finished requests no longer count");
    served.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_never_reads_is_disconnected() {
    let served = served(&[("rate_limit", "off")]).await;
    let mut wire = Wire::from("127.0.0.1", served.address).await;
    // More responses than all buffers between client and server can hold.
    let request = "GET /openapi.json HTTP/1.1\r\nhost: shop.test\r\n\r\n";
    let request = request.repeat(400);
    let writing = async {
        loop {
            if wire.try_send(request.as_bytes()).await.is_err() {
                return;
            }
        }
    };
    // Only the end of the connection ends the loop.
    tokio::time::timeout(Duration::from_mins(2), writing)
        .await
        .expect("the connection is closed");
    served.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_reads_slowly_is_served() {
    let served = served(&[("rate_limit", "off")]).await;
    let mut wire = Wire::from("127.0.0.1", served.address).await;
    let request = "GET /openapi.json HTTP/1.1\r\nhost: shop.test\r\n\r\n";
    wire.send(&request.repeat(40)).await;
    for _ in 0..40 {
        assert_eq!(wire.answer().await.0, 200);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    served.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limit_of_open_files_is_raised_and_logged() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new("prlimit");
    command
        .args(["--nofile=200:300", env!("CARGO_BIN_EXE_shop")])
        .env("SHOP_LOG", "info");
    let mut process = Process::start_with(command, directory.path());
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", process.pid())).unwrap();
    let files = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let numbers: Vec<_> = files.unwrap().split_whitespace().skip(3).take(2).collect();
    assert_eq!(numbers, ["300", "300"]);
    let raised = process
        .stderr_lines()
        .find(|line| line.contains("limit of open files"))
        .expect("the limits are logged");
    assert!(raised.contains("200") && raised.contains("300"), "{raised}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rejected_connections_do_not_flood_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
    command
        .env("SHOP_RATE_LIMIT", "on")
        .env("SHOP_MAX_CONNECTIONS", "16");
    let mut process = Process::start_with(command, directory.path());
    let began = std::time::Instant::now();
    let mut held = Vec::new();
    for _ in 0..200 {
        held.push(Wire::from("127.0.0.2", address(&process.url)).await);
    }
    // Once the last one is closed, the server has seen all of them.
    assert!(held.pop().unwrap().is_closed().await);
    let seconds = usize::try_from(began.elapsed().as_secs()).unwrap();
    let log = process.stderr_lines();
    process.terminate();
    let rejections = log.filter(|line| line.contains("connections rejected"));
    let lines = rejections.count();
    assert!(
        (1..=seconds + 1).contains(&lines),
        "{lines} lines in {seconds} s"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_checks_run_once() {
    let check = Arc::new(SharedCheck::new(Duration::from_millis(500)));
    let runs = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let run = |fails: bool| {
        let (check, runs) = (Arc::clone(&check), Arc::clone(&runs));
        async move {
            let work = async {
                runs.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                tokio::time::sleep(Duration::from_millis(20)).await;
                if fails {
                    return Err(Error::unavailable("the disk is gone"));
                }
                Ok(())
            };
            check.run(work).await
        }
    };
    let results = futures_util::future::join_all((0..50).map(|_| run(true))).await;
    let detail = |result: &Result<(), Error>| result.as_ref().unwrap_err().detail().to_owned();
    assert!(results.iter().all(|it| detail(it) == "the disk is gone"));
    assert_eq!(runs.load(std::sync::atomic::Ordering::SeqCst), 1);
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(run(false).await.is_ok(), "an expired result is not reused");
    assert_eq!(runs.load(std::sync::atomic::Ordering::SeqCst), 2);
}
