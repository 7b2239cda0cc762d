//! Requests that two HTTP implementations may interpret differently are rejected (RFC 9112).

use crate::support::{Engine, TestShop, Wire, live::Served};

async fn served() -> Served {
    let shop = TestShop::on(Engine::Sqlite).await.unwrap();
    Served::start(&shop).await
}

/// Sends one request, after which the server must close. Returns the status and the problem code.
async fn rejected(served: &Served, head: &str) -> (u16, String) {
    let mut wire = Wire::from("127.0.0.1", served.address).await;
    wire.send(head).await;
    let (status, body) = wire.answer().await;
    assert!(wire.is_closed().await, "{head}");
    let problem: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
    (
        status,
        problem["code"].as_str().unwrap_or_default().to_owned(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_with_two_lengths_are_rejected() {
    let served = served().await;
    let login = "POST /api/v1/auth/login HTTP/1.1\r\nhost: shop.test\r\ncontent-type: \
                 application/json\r\n";
    for lengths in [
        "content-length: 5\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 5\r\n",
        "Content-Length: 5\r\nX-Other: content-length: 9\r\nTransfer-Encoding: chunked\r\n",
        "content-length: 5\r\ncontent-length: 5\r\n",
    ] {
        let (status, code) = rejected(&served, &format!("{login}{lengths}\r\n0\r\n\r\n")).await;
        assert_eq!(
            (status, code.as_str()),
            (400, "invalid-header"),
            "{lengths}"
        );
    }
    for lengths in [
        "content-length: 5\r\ncontent-length: 6\r\n",
        "content-length: five\r\n",
        "content-length: -1\r\n",
        "transfer-encoding: gzip\r\n",
        "transfer-encoding : chunked\r\n",
    ] {
        let (status, _) = rejected(&served, &format!("{login}{lengths}\r\n0\r\n\r\n")).await;
        assert_eq!(status, 400, "{lengths}");
    }
    served.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_length_of_each_request_on_a_connection_is_checked() {
    let served = served().await;
    let mut wire = Wire::from("127.0.0.1", served.address).await;
    let login = "POST /api/v1/auth/login HTTP/1.1\r\nhost: shop.test\r\ncontent-type: \
                 application/json\r\n";
    // Header names within bodies and values do not count.
    let body = "\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n";
    for _ in 0..3 {
        let length = body.len();
        wire.send(&format!("{login}content-length: {length}\r\n\r\n{body}"))
            .await;
        assert_eq!(wire.answer().await.0, 400, "the body is not JSON");
        wire.send(&format!(
            "{login}transfer-encoding: chunked\r\nx-note: content-length: 1\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n"
        ))
        .await;
        assert_eq!(wire.answer().await.0, 422);
        assert_eq!(wire.get("/healthz").await, 200);
    }
    wire.send(&format!(
        "{login}transfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n0\r\n\r\n"
    ))
    .await;
    assert_eq!(wire.answer().await.0, 400);
    assert!(wire.is_closed().await);
    served.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exactly_one_host_is_required() {
    let served = served().await;
    for hosts in [
        "",
        "host: shop.test\r\nhost: shop.test\r\n",
        "host: shop.test\r\nHost: other.test\r\n",
        "host: \r\n",
        "host: a b\r\n",
        "host: shop.test, other.test\r\n",
        "host: http://shop.test/\r\n",
    ] {
        for path in ["/api/v1/products", "/healthz"] {
            let head = format!("GET {path} HTTP/1.1\r\n{hosts}\r\n");
            let (status, code) = rejected(&served, &head).await;
            assert_eq!((status, code.as_str()), (400, "invalid-header"), "{hosts}");
        }
    }
    let mut old = Wire::from("127.0.0.1", served.address).await;
    old.send("GET /healthz HTTP/1.0\r\n\r\n").await;
    assert_eq!(old.answer().await.0, 200, "HTTP/1.0 does not require Host");
    for host in ["shop.test", "shop.test:8080", "127.0.0.1:80", "[::1]:80"] {
        let mut wire = Wire::from("127.0.0.1", served.address).await;
        wire.send(&format!("GET /healthz HTTP/1.1\r\nhost: {host}\r\n\r\n"))
            .await;
        assert_eq!(wire.answer().await.0, 200, "{host}");
    }
    served.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trace_is_not_allowed_anywhere() {
    let served = served().await;
    for path in [
        "/",
        "/nowhere",
        "/healthz",
        "/api/v1/products",
        "/api/v1/nowhere",
    ] {
        let mut wire = Wire::from("127.0.0.1", served.address).await;
        wire.send(&format!("TRACE {path} HTTP/1.1\r\nhost: shop.test\r\n\r\n"))
            .await;
        let (status, body) = wire.answer().await;
        assert_eq!(status, 405, "{path}");
        assert!(body.contains("method-not-allowed"), "{body}");
    }
    served.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invalid_chunks_close_the_connection() {
    let served = served().await;
    let head = "POST /api/v1/auth/login HTTP/1.1\r\nhost: shop.test\r\ncontent-type: \
                application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    for chunks in [
        "x\r\n",
        "-1\r\n",
        "2\r\n{}}\r\n",
        "ffffffffffffffffff\r\n",
        "2;\n{}\r\n0\r\n\r\n",
    ] {
        let mut wire = Wire::from("127.0.0.1", served.address).await;
        wire.send(&format!("{head}{chunks}")).await;
        assert_eq!(wire.answer().await.0, 400, "{chunks}");
        assert!(wire.is_closed().await, "{chunks}");
    }
    served.stopped().await;
}
