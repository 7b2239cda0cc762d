//! Traces, as a collector receives them.

use std::sync::{Arc, Mutex};

use axum::{Router, body::Bytes, extract::State, routing::post};

use super::Logged;
use crate::support::{Remote, storage_test};

type Received = Arc<Mutex<Vec<u8>>>;

/// Starts a collector. Returns its URL, and the bodies that it receives.
async fn collector() -> (String, Received) {
    let received = Received::default();
    let export = |State(received): State<Received>, body: Bytes| async move {
        received.lock().unwrap().extend_from_slice(&body);
    };
    let router = Router::new()
        .route("/v1/traces", post(export))
        .with_state(Arc::clone(&received));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, received)
}

storage_test! {
    async fn a_collector_receives_the_spans_of_requests_and_operations(site: Site) {
        let (url, received) = collector().await;
        for format in ["text", "json"] {
            let server = Logged::start(&site, &[("SHOP_OTLP_URL", &url), ("SHOP_LOG", "info"), ("SHOP_LOG_FORMAT", format)]);
            let visitor = Remote::new(&server.process);
            let name = format!("ada{format}");
            let ada = visitor.registered(&name).await;
            let me = ada.get("/me").await;
            visitor.get("/products?q=canary").await;
            let lines = server.stop();
            // In the protocol's encoding (protobuf), texts are as they are.
            let spans = String::from_utf8_lossy(&received.lock().unwrap()).into_owned();
            let id = me.header("x-request-id").unwrap();
            for expected in ["GET /api/v1/me", "POST /api/v1/auth/login", "accounts.me", "accounts.sign_in", "service.name", id] {
                assert!(spans.contains(expected), "{expected} is missing");
            }
            assert!(!spans.contains("jobs.is_any_due"), "background tasks are not traced");
            for secret in ["canary", "correct horse", "@example.com", ada.token.as_deref().unwrap()] {
                assert!(!spans.contains(secret), "{secret} is in the traces");
            }
            // Spans do not change the lines of the log.
            let request = lines.iter().find(|line| line.contains("request handled")).unwrap();
            assert!(!request.contains("otel") && !request.contains("span"), "{request}");
        }
    }

    async fn a_collector_that_is_down_disturbs_nothing(site: Site) {
        let variables = [("SHOP_OTLP_URL", "http://127.0.0.1:9"), ("SHOP_LOG", "info")];
        let server = Logged::start(&site, &variables);
        assert_eq!(Remote::new(&server.process).registered("ada").await.get("/me").await.status, 200);
        server.stop();
    }
}
