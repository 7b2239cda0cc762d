//! SIGTERM: an end that loses nothing, and that nobody can put off for ever.

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

/// A checkout that the server has begun to read and that waits for its body.
async fn checkout_under_way(process: &Process, customer: &Remote) -> Wire {
    let mut wire = Wire::to(&process.url).await;
    let token = customer.token.as_deref().unwrap();
    let head = "content-type: application/json\r\ncontent-length: 2\r\nexpect: 100-continue";
    wire.send(&format!(
        "POST /api/v1/orders HTTP/1.1\r\nhost: shop.test\r\nauthorization: Bearer {token}\r\n\
         {head}\r\n\r\n"
    ))
    .await;
    assert_eq!(wire.answer().await.0, 100, "the server asks for the body");
    wire
}

/// A connection that sends half a request's head and then nothing.
async fn stuck(process: &Process) -> Wire {
    let mut wire = Wire::to(&process.url).await;
    wire.send("POST /api/v1/orders HTTP/1.1\r\nhost: shop.test\r\nauthoriz")
        .await;
    wire
}

/// Asks on a connection that is open already until the server says that it is stopping.
async fn until_not_ready(probe: &mut Wire) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match probe.get("/readyz").await {
            503 => return,
            status => assert_eq!(status, 200),
        }
        assert!(Instant::now() < deadline, "ready for ever");
    }
}

/// How a server ended that was told to.
async fn ended(process: Process) -> ExitStatus {
    let ended = tokio::task::spawn_blocking(|| process.wait());
    let ended = tokio::time::timeout(PATIENCE, ended);
    ended.await.expect("it ends").unwrap()
}

async fn until_nobody_listens(process: &Process) {
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(address(&process.url)).await.is_ok() {
        assert!(Instant::now() < deadline, "new clients are taken for ever");
        tokio::task::yield_now().await;
    }
}

/// Orders until the server is gone; counts every 201.
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
    async fn post_order(&self) -> reqwest::Result<crate::support::Answer> {
        self.try_post("/orders", &json!({})).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_under_load_finishes_what_is_under_way() {
    let directory = tempfile::tempdir().unwrap();
    let kettle = product(directory.path(), "Kettle", 129_900, 1_000_000);
    let process = Process::start(directory.path());
    let visitor = Remote::new(&process);
    let ada = visitor.registered("ada").await;
    put(&ada, &kettle).await.unwrap();

    let acknowledged = Arc::new(AtomicU64::new(0));
    let mut shoppers = Vec::new();
    for number in 0..4 {
        let customer = visitor.registered(&format!("customer{number}")).await;
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
    let mut under_way = checkout_under_way(&process, &ada).await;
    let _stuck = stuck(&process).await;
    while acknowledged.load(Ordering::SeqCst) < 20 {
        tokio::task::yield_now().await;
    }

    process.terminate();
    until_not_ready(&mut probe).await;
    assert_eq!(listener.close_code().await, 1001);
    until_nobody_listens(&process).await;
    under_way.send("{}").await;
    let (status, body) = under_way.answer().await;
    assert_eq!(status, 201, "{body}");
    let order: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(order["status"], "PENDING");

    for shopper in shoppers {
        shopper.await.unwrap();
    }
    let ended = ended(process).await;
    assert_eq!(ended.code(), Some(0));

    let log = directory.path().join("shop.db-wal");
    assert_eq!(
        std::fs::metadata(log).map_or(0, |log| log.len()),
        0,
        "folded into the file"
    );
    let raw = RawDb::of(directory.path(), None);
    raw.assert_sound();
    let orders = raw.number("SELECT count(*) FROM orders");
    let told = i64::try_from(acknowledged.load(Ordering::SeqCst)).unwrap() + 1;
    assert_eq!(orders, told, "who was taken in was answered");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let kettle = product(directory.path(), "Kettle", 129_900, 5);
    let process = Process::start(directory.path());
    let ada = Remote::new(&process).registered("ada").await;
    put(&ada, &kettle).await.unwrap();
    let mut probe = Wire::to(&process.url).await;
    let _under_way = checkout_under_way(&process, &ada).await;

    process.terminate();
    until_not_ready(&mut probe).await;
    process.terminate();
    let ended = ended(process).await;
    assert_eq!(ended.code(), Some(1), "not in peace: somebody still waited");

    let process = Process::start(directory.path());
    let raw = RawDb::of(directory.path(), None);
    assert_eq!(raw.number("SELECT count(*) FROM orders"), 0);
    assert_eq!(ada.at(&process).get("/cart").await.number("/itemCount"), 1);
    raw.assert_sound();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_server_ends_in_peace() {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::start(directory.path());
    let mut idle = Wire::to(&process.url).await;
    assert_eq!(idle.get("/healthz").await, 200);
    process.terminate();
    let ended = ended(process).await;
    assert_eq!(ended.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_nobody_reads_any_more_stops_nothing_and_keeps_nothing_from_stopping() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
    command.env("SHOP_LOG", "trace");
    let mut server = Process::start_with(command, directory.path());
    drop(server.says());
    let ada = Remote::new(&server).registered("ada").await;
    let phone = json!({ "phone": "+491701234567" });
    let code = ada.post("/me/phone", &phone).await;
    assert_eq!(code.status, 503, "nobody would see it: {code:?}");
    assert_eq!(ada.get("/me").await.status, 200);
    server.terminate();
    let ended = ended(server).await;
    assert_eq!(ended.code(), Some(0));
}
