//! Requests over TLS: the versions of HTTP, the handshake, security headers, `WebSocket` clients, commands and the redirect.

use std::time::Duration;

use futures_util::StreamExt;
use http::{Method, Version};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::{client_async, tungstenite::Message};

use super::{CertificateFiles, TIMEOUT, address};
use crate::support::{Remote, proxy::free_address, storage_test};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_versions_of_http_are_served_with_hsts() {
    let (files, directory) = (CertificateFiles::new(), tempfile::tempdir().unwrap());
    let server = files.start(directory.path(), &[]);
    let newest = files.client().build().unwrap();
    let older = files.client().http1_only().build().unwrap();
    for (client, version) in [(newest, Version::HTTP_2), (older, Version::HTTP_11)] {
        for (path, status) in [("/healthz", 200), ("/api/v1/me", 401), ("/nowhere", 404)] {
            let url = format!("{}{path}", server.url);
            let answer = client.get(url).send().await.unwrap();
            assert_eq!(
                (answer.version(), answer.status().as_u16()),
                (version, status)
            );
            let headers = answer.headers();
            assert_eq!(headers["strict-transport-security"], "max-age=63072000");
            assert_eq!(headers["x-content-type-options"], "nosniff");
            assert!(headers.contains_key("x-request-id"));
            assert!(!headers.contains_key("connection"), "{headers:?}");
        }
        let url = format!("{}/api/v1/auth/login", server.url);
        let wrong = json!({ "email": "ada@example.com", "password": "wrong password" });
        let request = client.post(url).header("content-type", "application/json");
        let answer = request.body(wrong.to_string()).send().await.unwrap();
        assert_eq!(answer.status(), 401);
        let problem = answer.bytes().await.unwrap();
        let problem: serde_json::Value = serde_json::from_slice(&problem).unwrap();
        assert_eq!(problem["code"], "invalid-credentials");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handshake_that_does_not_end_is_closed() {
    let (files, directory) = (CertificateFiles::new(), tempfile::tempdir().unwrap());
    let server = files.start(directory.path(), &[]);
    let mut silent = TcpStream::connect(address(&server)).await.unwrap();
    let mut begun = TcpStream::connect(address(&server)).await.unwrap();
    // The beginning of a record with a ClientHello.
    begun.write_all(&[22, 3, 1, 2, 0, 1]).await.unwrap();
    let mut idle = files.connect(&server, &["http/1.1"]).await;

    let mut plain = TcpStream::connect(address(&server)).await.unwrap();
    plain
        .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    let _ = timeout(TIMEOUT, plain.read_to_end(&mut answer))
        .await
        .unwrap();
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");

    for stream in [&mut silent, &mut begun] {
        let read = timeout(TIMEOUT, stream.read_u8()).await;
        assert!(read.expect("the connection stays open").is_err());
    }
    let read = timeout(TIMEOUT, idle.read_u8()).await;
    assert!(read.expect("it sends no request").is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_inventory_works_over_tls() {
    let (files, directory) = (CertificateFiles::new(), tempfile::tempdir().unwrap());
    let server = files.start(directory.path(), &[]);
    let stream = files.connect(&server, &["http/1.1"]).await;
    let (mut socket, _) = client_async("wss://localhost/api/v1/ws", stream)
        .await
        .unwrap();
    let hello = timeout(TIMEOUT, socket.next())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    let Message::Text(hello) = hello else {
        panic!("{hello:?}");
    };
    assert!(hello.contains("HELLO"), "{hello}");
    server.terminate();
    let end = timeout(TIMEOUT, socket.next()).await.unwrap();
    assert!(matches!(end, Some(Ok(Message::Close(_)))), "{end:?}");
    drop(socket);
    assert_eq!(server.wait().code(), Some(0));
}

storage_test! {
    async fn a_customer_buys_over_http_2_and_a_command_pays(site: Site) {
        let files = CertificateFiles::new();
        let kettle = site.product("Kettle", 129_900, 5);
        let settings = files.settings();
        let settings = settings.each_ref().map(|(name, path)| (*name, path.to_str().unwrap()));
        let server = site.start_with(&settings);
        let http = files.client().build().unwrap();
        let ada = Remote::with_http(&server, http).registered("ada").await;
        ada.post("/cart", &json!({ "productId": kettle })).await;
        let order = ada.post("/orders", &json!({})).await;
        assert_eq!(order.status, 201);
        let paid = site.run(&["admin", "pay", &order.text("/number")]);
        assert!(paid.status.success(), "{paid:?}");
        let order = ada.get(&format!("/orders/{}", order.text("/id"))).await;
        assert_eq!(order.text("/status"), "PAID");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_http_is_redirected_to_the_public_url() {
    let (files, directory) = (CertificateFiles::new(), tempfile::tempdir().unwrap());
    let listen = free_address();
    let settings = [
        ("SHOP_REDIRECT_LISTEN", &*listen.to_string()),
        ("SHOP_PUBLIC_URL", "https://shop.example"),
    ];
    let server = files.start(directory.path(), &settings);
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    let client = client.build().unwrap();
    for method in [
        Method::GET,
        Method::HEAD,
        Method::POST,
        Method::DELETE,
        Method::OPTIONS,
    ] {
        for path in ["/", "/api/v1/products?q=a%20b", "//evil.example/"] {
            let url = format!("http://{listen}{path}");
            let request = client
                .request(method.clone(), url)
                .header("host", "evil.example");
            let answer = request.body("x").send().await.unwrap();
            assert_eq!(answer.status(), 308, "{method} {path}");
            let target = answer.headers()["location"].to_str().unwrap();
            assert_eq!(target, format!("https://shop.example{path}"));
            assert!(!answer.headers().contains_key("strict-transport-security"));
            assert!(answer.headers().contains_key("x-request-id"));
        }
    }
    let mut silent = TcpStream::connect(listen).await.unwrap();
    let read = timeout(TIMEOUT, silent.read_u8()).await;
    assert!(read.expect("the connection stays open").is_err());
    server.terminate();
    let ended = tokio::task::spawn_blocking(|| server.wait());
    let ended = timeout(Duration::from_secs(15), ended).await;
    assert_eq!(ended.unwrap().unwrap().code(), Some(0));
}
