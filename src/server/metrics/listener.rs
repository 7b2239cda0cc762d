//! The listener of `GET /metrics`. It is apart from that of the shop: the metrics are not for customers, and they can
//! be read while the shop is at its limit of connections.

use std::{sync::Arc, time::Duration};

use axum::{Router, extract::State, routing::get};
use http::header;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

use super::collect::Collector;
use crate::{app::App, infra::metrics};

/// How many connections are served at a time. Further ones wait.
const MAX_CONNECTIONS: usize = 8;

/// How long a connection may take, from its begin to its end.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(20);

/// The maximum size of a request's head, in bytes.
const MAX_HEAD_LEN: usize = 16 * 1024;

/// How often recorded durations are moved into their buckets.
const DRAIN_INTERVAL: Duration = Duration::from_secs(5);

/// The pause after an error of `accept`, e.g. when no descriptor is left.
const ERROR_PAUSE: Duration = Duration::from_millis(100);

/// The media type of the text format (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Serves the metrics until the server stops.
pub async fn serve(listener: TcpListener, app: Arc<App>) {
    let stopping = app.stopping.clone();
    let router = Router::new()
        .route("/metrics", get(scrape))
        .with_state(Arc::new(Collector::new(app)));
    let accepting = async {
        let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(ERROR_PAUSE).await;
                continue;
            };
            let router = router.clone();
            tokio::spawn(async move {
                connection(stream, router).await;
                drop(slot);
            });
        }
    };
    let draining = async {
        loop {
            tokio::time::sleep(DRAIN_INTERVAL).await;
            metrics::drain();
        }
    };
    tokio::select! {
        () = stopping.cancelled() => {}
        () = accepting => {}
        () = draining => {}
    }
}

/// Serves one request.
async fn connection(stream: TcpStream, router: Router) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(false)
        .max_buf_size(MAX_HEAD_LEN)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    match tokio::time::timeout(CONNECTION_TIMEOUT, served).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection for metrics failed"),
        Err(_) => tracing::debug!("a connection for metrics took too long"),
    }
}

async fn scrape(
    State(collector): State<Arc<Collector>>,
) -> ([(header::HeaderName, &'static str); 1], String) {
    collector.collect().await;
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], metrics::render())
}
