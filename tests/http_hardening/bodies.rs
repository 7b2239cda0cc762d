//! The memory of request bodies, and how it is divided among clients.

use std::{io::Write as _, net::SocketAddr, process::Command};

use serde_json::json;
use shop::infra::db::Options;

use crate::support::{
    Client, Engine, Process, Remote, TestShop, Wire, address, live::Served, operations,
};

/// The maximum growth of the program's memory, in kB.
const MAX_GROWTH: usize = 64 * 1024;

/// A well-formed signature: 32 bytes in hexadecimal.
const SIGNATURE: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// The start of a webhook request.
fn webhook(headers: &str) -> String {
    format!("POST /api/v1/payments/razorpay/webhook HTTP/1.1\r\nhost: shop.test\r\n{headers}")
}

/// The start of a request with a JSON body.
fn login(headers: &str) -> String {
    format!(
        "POST /api/v1/auth/login HTTP/1.1\r\nhost: shop.test\r\ncontent-type: application/json\r\n\
         {headers}"
    )
}

/// Sends an unfinished body in one-byte chunks.
fn in_single_bytes(server: SocketAddr, head: &str, bytes: usize) -> std::net::TcpStream {
    let mut stream = std::net::TcpStream::connect(server).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let batch = "1\r\na\r\n".repeat(1024);
    for _ in 0..bytes / 1024 {
        // The server may reject the body and close the connection; the memory is measured all the same.
        if stream.write_all(batch.as_bytes()).is_err() {
            break;
        }
    }
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_byte_chunks_use_little_memory() {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::start(directory.path());
    let mut wire = Wire::to(&process.url).await;
    assert_eq!(wire.get("/readyz").await, 200);
    let server = address(&process.url);
    let signed = webhook(&format!("x-razorpay-signature: {SIGNATURE}\r\n"));
    let token = Remote::new(&process).registered("ada").await.token.unwrap();
    let mut heads = vec![signed];
    for operation in operations().into_iter().filter(|it| it.takes_json) {
        let path = operation.path_of("01900000-0000-7000-8000-000000000000");
        let method = operation.method;
        heads.push(format!(
            "{method} {path} HTTP/1.1\r\nhost: shop.test\r\ncontent-type: application/json\r\n\
             authorization: Bearer {token}\r\n"
        ));
    }
    let before = process.memory("VmRSS:");
    let sending: Vec<_> = (0..20 + heads.len())
        .map(|n| {
            let head = &heads[n % heads.len()];
            let head = format!("{head}transfer-encoding: chunked\r\n\r\n");
            tokio::task::spawn_blocking(move || in_single_bytes(server, &head, 200 * 1024))
        })
        .collect();
    let mut open = Vec::new();
    for sent in sending {
        open.push(sent.await.unwrap());
    }
    assert_eq!(wire.get("/readyz").await, 200);
    let grown = process.memory("VmHWM:").saturating_sub(before);
    assert!(
        grown < MAX_GROWTH,
        "{grown} kB more than the {before} kB before"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oversized_heads_are_rejected_with_bounded_memory() {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::start(directory.path());
    let mut wire = Wire::to(&process.url).await;
    assert_eq!(wire.get("/readyz").await, 200);
    let before = process.memory("VmRSS:");
    let oversized = [
        (
            431,
            format!("GET / HTTP/1.1\r\nx-large: {}\r\n\r\n", "a".repeat(1 << 20)),
        ),
        (
            431,
            format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(10_000)),
        ),
        (
            414,
            format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(100_000)),
        ),
    ];
    for (status, head) in &oversized {
        let attempts = (0..100).map(|_| async {
            let mut wire = Wire::to(&process.url).await;
            wire.try_send(head.as_bytes()).await.unwrap();
            wire.try_answer().await
        });
        let answers = futures_util::future::join_all(attempts).await;
        assert!(
            answers.iter().all(|answer| *answer == Some(*status)),
            "{answers:?}"
        );
    }
    assert_eq!(wire.get("/readyz").await, 200);
    let grown = process.memory("VmHWM:").saturating_sub(before);
    assert!(
        grown < MAX_GROWTH,
        "{grown} kB more than the {before} kB before"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malformed_webhook_signature_is_rejected_before_the_body() {
    let shop = TestShop::on(Engine::Sqlite).await.unwrap();
    let served = Served::start(&shop).await;
    let twice =
        format!("x-razorpay-signature: {SIGNATURE}\r\nx-razorpay-signature: {SIGNATURE}\r\n");
    for headers in [
        "",
        "x-razorpay-signature: \r\n",
        "x-razorpay-signature: 0011\r\n",
        &format!("x-razorpay-signature: {SIGNATURE}00\r\n"),
        &format!("x-razorpay-signature: {}\r\n", SIGNATURE.replace('0', "g")),
        &twice,
    ] {
        let mut wire = Wire::from("127.0.0.1", served.address).await;
        wire.send(&webhook(&format!(
            "{headers}content-length: 1000000\r\n\r\n"
        )))
        .await;
        let (status, body) = wire.answer().await;
        assert_eq!(status, 401, "{headers}");
        assert!(body.contains("invalid-signature"), "{body}");
    }
    served.stopped().await;
}

/// Begins a webhook's body. Returns when the server has read the bytes, or else its status.
async fn begun(server: SocketAddr, source: &str, bytes: usize) -> Result<Wire, u16> {
    let mut wire = Wire::from(source, server).await;
    let headers = format!(
        "x-razorpay-signature: {SIGNATURE}\r\ncontent-length: 1000000\r\nexpect: 100-continue\r\n\r\n"
    );
    wire.send(&webhook(&headers)).await;
    assert_eq!(wire.answer().await.0, 100);
    // A server that responds early may close while bytes are in flight.
    drop(wire.try_send(&vec![b' '; bytes]).await);
    match wire.early_answer().await {
        Some(status) => Err(status),
        None => Ok(wire),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_body_budget_reserves_room_for_small_bodies() {
    let settings = [("rate_limit", "on"), ("body_budget", "2MiB")];
    let shop = TestShop::with(Engine::Sqlite, &settings, Options::default()).await;
    let shop = shop.unwrap();
    let served = Served::start(&shop).await;
    let begin = |network: u8, bytes| {
        let source = format!("127.0.0.{network}");
        async move { begun(served.address, &source, bytes).await }
    };

    // One network may use a quarter of the budget, 512 KiB.
    let mut held = vec![begin(2, 400 * 1024).await.unwrap()];
    assert_eq!(begin(2, 400 * 1024).await.err(), Some(503));
    // Large bodies together may use three quarters of it, 1.5 MiB.
    held.push(begin(3, 400 * 1024).await.unwrap());
    held.push(begin(4, 400 * 1024).await.unwrap());
    assert_eq!(begin(5, 400 * 1024).await.err(), Some(503));
    // The rest is reserved for small ones, e.g. a login.
    let mut wire = Wire::from("127.0.0.5", served.address).await;
    let small = format!(
        "{{\"email\":\"ada@example.com\",\"password\":\"{}\"}}",
        "x".repeat(100)
    );
    wire.send(&login(&format!(
        "content-length: {}\r\n\r\n{small}",
        small.len()
    )))
    .await;
    assert_eq!(wire.answer().await.0, 401);

    // Closed connections release their bytes.
    held.clear();
    let mut wire = Wire::from("127.0.0.2", served.address).await;
    for _ in 0..200 {
        if let Ok(body) = begin(2, 400 * 1024).await {
            drop(body);
            assert_eq!(wire.get("/healthz").await, 200);
            served.stopped().await;
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the budget is not returned");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_heads_count_towards_the_body_budget() {
    let settings = [("rate_limit", "on"), ("body_budget", "1MiB")];
    let shop = TestShop::with(Engine::Sqlite, &settings, Options::default()).await;
    let served = Served::start(&shop.unwrap()).await;
    // Ten heads of 40 KiB exceed one network's quarter.
    let mut heads = Vec::new();
    for _ in 0..10 {
        let mut wire = Wire::from("127.0.0.2", served.address).await;
        drop(
            wire.try_send(b"GET /healthz HTTP/1.1\r\nhost: shop.test\r\nx-large: ")
                .await,
        );
        drop(wire.try_send(&vec![b'a'; 40 * 1024]).await);
        heads.push(wire);
    }
    let mut closed = 0;
    for wire in &mut heads {
        drop(wire.try_send(b"\r\n\r\n").await);
        match wire.try_answer().await {
            Some(status) => assert_eq!(status, 200),
            None => closed += 1,
        }
    }
    assert!((1..=6).contains(&closed), "{closed} heads had no room");
    let mut other = Wire::from("127.0.0.3", served.address).await;
    assert_eq!(other.get("/healthz").await, 200);
    served.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_responses_count_unless_they_report_a_write() {
    let shop = TestShop::on(Engine::Sqlite).await.unwrap();
    let ada = shop.customer("ada").await;
    for n in 100..175 {
        let name = format!("{n}{}", "\u{1f600}".repeat(190));
        let product = shop.product(&name, 100, 9).await;
        let added = ada.post("/cart", json!({ "productId": product })).await;
        assert_eq!(added.status, 200);
    }
    let last = shop.product("Lamp", 100, 9).await;
    let settings = [("rate_limit", "on"), ("body_budget", "1MiB")];
    let token = ada.token.clone();
    let shop = shop.restarted_with(&settings).await;
    let ada = Client::new(&shop, token);
    // The cart has about 80 kB; one network may use a quarter of the budget, 256 KiB.
    let mut unread = Vec::new();
    for _ in 0..3 {
        unread.push(ada.begin_get("/cart").await);
    }
    assert!(unread.iter().all(|response| response.status() == 200));
    ada.get("/cart").await.assert_problem(503, "unavailable");
    let added = ada.post("/cart", json!({ "productId": last })).await;
    assert_eq!((added.status, added.number("/itemCount")), (200, 76));
    drop(unread);
    let read = ada.get("/cart").await;
    assert_eq!((read.status, read.number("/itemCount")), (200, 76));
}

#[test]
fn an_invalid_body_budget_is_rejected() {
    for wrong in ["0", "64", "64MB", "1KiB", "-1MiB", "99999999999GiB"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
        command.args(["config"]).env("SHOP_BODY_BUDGET", wrong);
        let output = command.output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{wrong}");
        assert!(error.contains("body_budget"), "{error}");
    }
}
