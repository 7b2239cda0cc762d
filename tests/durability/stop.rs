//! SIGTERM: the shutdown completes requests in progress, and no client can delay it without limit.

use std::{
    process::ExitStatus,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use serde_json::Value;
use tokio::net::TcpStream;

use super::*;
use crate::support::{RawDb, Wire, address, live::Listener};

/// Starts a checkout: the server has read its head and waits for the body.
async fn start_checkout(process: &Process, customer: &Remote) -> Wire {
    let mut wire = Wire::to(&process.url).await;
    let token = customer.token.as_deref().unwrap();
    let head = "content-type: application/json\r\ncontent-length: 2\r\nexpect: 100-continue";
    wire.send(&format!(
        "POST /api/v1/orders HTTP/1.1\r\nhost: shop.test\r\nauthorization: Bearer {token}\r\n\
         {head}\r\n\r\n"
    ))
    .await;
    assert_eq!(wire.answer().await.0, 100, "the server waits for the body");
    wire
}

/// Opens a connection that sends half a request head and then stalls.
async fn stalled(process: &Process) -> Wire {
    let mut wire = Wire::to(&process.url).await;
    wire.send("POST /api/v1/orders HTTP/1.1\r\nhost: shop.test\r\nauthoriz")
        .await;
    wire
}

/// Polls `/readyz` on an open connection until the server reports that it is stopping.
async fn until_not_ready(probe: &mut Wire) {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        match probe.get("/readyz").await {
            503 => return,
            status => assert_eq!(status, 200),
        }
        assert!(Instant::now() < deadline, "still ready");
    }
}

/// Waits for the end of the server.
async fn ended(process: Process) -> ExitStatus {
    let ended = tokio::task::spawn_blocking(|| process.wait());
    let ended = tokio::time::timeout(TIMEOUT, ended);
    ended.await.expect("the server ends").unwrap()
}

async fn until_not_listening(process: &Process) {
    let deadline = Instant::now() + TIMEOUT;
    while TcpStream::connect(address(&process.url)).await.is_ok() {
        assert!(
            Instant::now() < deadline,
            "new connections are still accepted"
        );
        tokio::task::yield_now().await;
    }
}

/// Places orders until the server is gone. Counts the 201 responses.
async fn shop_on(customer: Remote, product: String, acknowledged: Arc<AtomicU64>) {
    while put(&customer, &product).await.is_ok() {
        let Ok(answer) = customer.post_order().await else {
            return;
        };
        assert_eq!(answer.status, 201, "{answer:?}");
        acknowledged.fetch_add(1, Ordering::SeqCst);
    }
}

impl Remote {
    async fn post_order(&self) -> reqwest::Result<crate::support::TestResponse> {
        self.try_post("/orders", &json!({})).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_under_load_completes_requests_in_progress() {
    let directory = tempfile::tempdir().unwrap();
    let kettle = product(directory.path(), "Kettle", 129_900, 1_000_000);
    let process = Process::start(directory.path());
    let anonymous = Remote::new(&process);
    let ada = anonymous.registered("ada").await;
    put(&ada, &kettle).await.unwrap();

    let acknowledged = Arc::new(AtomicU64::new(0));
    let mut shoppers = Vec::new();
    for number in 0..4 {
        let customer = anonymous.registered(&format!("customer{number}")).await;
        shoppers.push(tokio::spawn(shop_on(
            customer,
            kettle.clone(),
            Arc::clone(&acknowledged),
        )));
    }
    let server = process.url.replacen("http", "ws", 1);
    let mut listener = Listener::at(&server, "", &[]).await.unwrap();
    let mut probe = Wire::to(&process.url).await;
    assert_eq!(probe.get("/readyz").await, 200);
    let mut checkout = start_checkout(&process, &ada).await;
    let _stalled = stalled(&process).await;
    while acknowledged.load(Ordering::SeqCst) < 20 {
        tokio::task::yield_now().await;
    }

    process.terminate();
    until_not_ready(&mut probe).await;
    assert_eq!(listener.close_code().await, 1001);
    until_not_listening(&process).await;
    checkout.send("{}").await;
    let (status, body) = checkout.answer().await;
    assert_eq!(status, 201, "{body}");
    let order: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(order["status"], "PENDING");

    for shopper in shoppers {
        shopper.await.unwrap();
    }
    let ended = ended(process).await;
    assert_eq!(ended.code(), Some(0));

    let wal = directory.path().join("shop.db-wal");
    assert_eq!(
        std::fs::metadata(wal).map_or(0, |wal| wal.len()),
        0,
        "the WAL is checkpointed"
    );
    let raw = RawDb::open(directory.path(), None);
    raw.assert_invariants();
    let orders = raw.number("SELECT count(*) FROM orders");
    let expected = i64::try_from(acknowledged.load(Ordering::SeqCst)).unwrap() + 1;
    assert_eq!(orders, expected, "every accepted request was answered");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_the_server_immediately() {
    let directory = tempfile::tempdir().unwrap();
    let kettle = product(directory.path(), "Kettle", 129_900, 5);
    let process = Process::start(directory.path());
    let ada = Remote::new(&process).registered("ada").await;
    put(&ada, &kettle).await.unwrap();
    let mut probe = Wire::to(&process.url).await;
    let _checkout = start_checkout(&process, &ada).await;

    process.terminate();
    until_not_ready(&mut probe).await;
    process.terminate();
    let ended = ended(process).await;
    assert_eq!(ended.code(), Some(1), "a request was still in progress");

    let process = Process::start(directory.path());
    let raw = RawDb::open(directory.path(), None);
    assert_eq!(raw.number("SELECT count(*) FROM orders"), 0);
    assert_eq!(ada.at(&process).get("/cart").await.number("/itemCount"), 1);
    raw.assert_invariants();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_server_stops_cleanly() {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::start(directory.path());
    let mut idle = Wire::to(&process.url).await;
    assert_eq!(idle.get("/healthz").await, 200);
    process.terminate();
    let ended = ended(process).await;
    assert_eq!(ended.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_stderr_does_not_affect_requests_or_shutdown() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
    command.env("SHOP_LOG", "trace");
    let mut server = Process::start_with(command, directory.path());
    drop(server.stderr_lines());
    let ada = Remote::new(&server).registered("ada").await;
    let phone = json!({ "phone": "+491701234567" });
    let code = ada.post("/me/phone", &phone).await;
    assert_eq!(code.status, 503, "the code cannot be shown: {code:?}");
    assert_eq!(ada.get("/me").await.status, 200);
    server.terminate();
    let ended = ended(server).await;
    assert_eq!(ended.code(), Some(0));
}
