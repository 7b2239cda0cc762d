//! A response that is sent before the request's body has arrived reaches the client. It leaves the connection
//! usable, or announces that it closes (RFC 9112, section 9.6).

use std::{process::Stdio, time::Duration};

use serde_json::json;
use shop::infra::db::Options;
use tokio::process::Command;

use crate::support::{Engine, Process, TestShop, Wire, live::Served, skip};

async fn served(settings: &[(&str, &str)]) -> Served {
    let shop = TestShop::with(Engine::Sqlite, settings, Options::default()).await;
    Served::start(&shop.unwrap()).await
}

fn post(path: &str, headers: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: shop.test\r\n{headers}\r\n")
}

const EXPIRED: &str = "authorization: Bearer x.y.z\r\n";
const JSON: &str = "content-type: application/json\r\n";
const FORM: &str = "content-type: multipart/form-data; boundary=b\r\n";

/// Requests that are rejected before their body is read, with their status.
fn rejected() -> Vec<(u16, String)> {
    let (api, login) = ("/api/v1/products", "/api/v1/auth/login");
    vec![
        (401, post(api, &format!("{EXPIRED}{FORM}"))),
        (401, post(api, &format!("{EXPIRED}{JSON}"))),
        (401, post("/api/v1/payments/razorpay/webhook", JSON)),
        (404, post("/api/v1/nowhere", JSON)),
        (405, post("/api/v1/categories/x", JSON)),
        (415, post(login, "content-type: text/plain\r\n")),
    ]
}

/// Adds a header to a head.
fn with(head: &str, header: &str) -> String {
    head.replacen("\r\n\r\n", &format!("\r\n{header}\r\n\r\n"), 1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_body_leaves_the_connection_usable() {
    let served = served(&[("rate_limit", "off")]).await;
    let mut wire = Wire::from("127.0.0.1", served.address).await;
    for (status, head) in rejected() {
        for chunked in [false, true] {
            let (length, body) = if chunked {
                (
                    "transfer-encoding: chunked",
                    format!("3e8\r\n{}\r\n0\r\n\r\n", "a".repeat(1000)),
                )
            } else {
                ("content-length: 1000", "a".repeat(1000))
            };
            wire.send(&with(&head, length)).await;
            // Send the body in a packet of its own.
            tokio::time::sleep(Duration::from_millis(30)).await;
            wire.send(&body).await;
            let (answered, answer, _) = wire.full_answer().await;
            assert_eq!(answered, status, "{head}");
            assert!(!answer.contains("connection: close"), "{answer}");
        }
    }
    // Heads after such bodies are validated like others.
    let two_lengths = "content-length: 3\r\ntransfer-encoding: chunked";
    wire.send(&with(&rejected()[5].1, two_lengths)).await;
    let (status, _, problem) = wire.full_answer().await;
    assert!(
        status == 400 && problem.contains("invalid-header"),
        "{problem}"
    );
    served.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_body_can_be_sent_before_the_response_is_read() {
    let served = served(&[("rate_limit", "off")]).await;
    let size: usize = 16 << 20;
    let mut cases = rejected();
    cases.push((413, post("/api/v1/auth/login", JSON)));
    for (status, head) in cases {
        for chunked in [false, true] {
            let mut wire = Wire::from("127.0.0.1", served.address).await;
            let length = if chunked {
                "transfer-encoding: chunked".to_owned()
            } else {
                format!("content-length: {size}")
            };
            wire.send(&with(&head, &length)).await;
            if chunked {
                wire.send(&format!("{size:x}\r\n")).await;
            }
            for _ in 0..16 {
                let sent = wire.try_send(&vec![b'a'; size / 16]).await;
                assert!(sent.is_ok(), "{sent:?}: {head}");
            }
            let (answered, answer, _) = wire.full_answer().await;
            assert_eq!(answered, status, "{head}");
            assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
            assert!(wire.is_closed().await);
        }
    }
    served.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_early_error_replaces_100_continue() {
    let served = served(&[("rate_limit", "off")]).await;
    for (status, head) in rejected() {
        for body in ["", "aaaaaaaaaa"] {
            let mut wire = Wire::from("127.0.0.1", served.address).await;
            wire.send(&with(&head, "expect: 100-continue\r\ncontent-length: 10"))
                .await;
            let (answered, answer, _) = wire.full_answer().await;
            assert_eq!(answered, status, "{head}");
            assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
            wire.send(body).await;
            assert!(wire.is_closed().await);
        }
    }
    served.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_response_to_a_malformed_head_arrives() {
    let served = served(&[("rate_limit", "off")]).await;
    let rest = "a".repeat(4 << 20);
    for (status, head) in [
        (
            400,
            "GET / HTTP/1.1\r\nhost: shop.test\r\nbad header\r\n\r\n".to_owned(),
        ),
        (400, "\u{0}\r\n\r\n".to_owned()),
        (414, format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(65_535))),
        (
            431,
            format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(200)),
        ),
    ] {
        let mut wire = Wire::from("127.0.0.1", served.address).await;
        for part in [&head, &rest] {
            let sent = wire.try_send(part.as_bytes()).await;
            assert!(sent.is_ok(), "{status}: {sent:?}");
        }
        assert_eq!(wire.answer().await.0, status);
        assert!(wire.is_closed().await);
    }
    served.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lingering_connections_yield_to_others_and_to_shutdown() {
    let served = served(&[("rate_limit", "off"), ("max_connections", "2")]).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut wire = Wire::from("127.0.0.1", served.address).await;
        wire.send(&with(&rejected()[0].1, "content-length: 1000000"))
            .await;
        assert_eq!(wire.answer().await.0, 401);
        held.push(wire);
    }
    for _ in 0..2 {
        let mut wire = Wire::from("127.0.0.1", served.address).await;
        assert_eq!(wire.get("/healthz").await, 200);
        wire.send(&with(&rejected()[0].1, "content-length: 1000000"))
            .await;
        assert_eq!(wire.answer().await.0, 401);
        held.push(wire);
    }
    served.stopped().await;
}

/// Node's `fetch` uploads with an invalid token. Without Node the test is skipped with a warning, or fails if
/// `SHOP_TEST_REQUIRE_NODE=1`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_sees_the_response_to_every_rejected_upload() {
    let program = "
        const seen = {};
        for (const kib of [10, 300, 3000, 38000]) {
            for (let n = 0; n < (kib > 10000 ? 2 : 10); n++) {
                const form = new FormData();
                form.set('name', 'x');
                form.set('images', new Blob([Buffer.alloc(kib * 1024, 7)], { type: 'image/jpeg' }), 'a.jpg');
                const headers = { authorization: 'Bearer x.y.z' };
                const answered = fetch(process.argv[1], { method: 'POST', body: form, headers })
                    .then(async (answer) => { await answer.text(); return answer.status; });
                const what = await answered.catch((error) => error.cause?.code ?? error.message);
                seen[what] = (seen[what] ?? 0) + 1;
            }
        }
        console.log(JSON.stringify(seen));";
    let directory = tempfile::tempdir().unwrap();
    let process = Process::start(directory.path());
    let ended = Command::new("node")
        .args([
            "--eval",
            program,
            &format!("{}/api/v1/products", process.url),
        ])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await;
    let Ok(ended) = ended else {
        return skip("NODE", "no node: install nodejs");
    };
    let seen: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap_or_default();
    assert_eq!(seen, json!({ "401": 32 }), "{ended:?}");
}
