//! The accept loop: connections under deadlines and a cap, and an end that loses nothing.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::web::{App, edge};

/// How long a client may take for a request's head, and how long a connection may lie idle.
const HEAD: Duration = Duration::from_secs(15);

/// How large a request's head may be, in bytes.
const HEAD_LIMIT: usize = 64 * 1024;

/// How many headers a request may have.
const MOST_HEADERS: usize = 100;

/// How many connections are held at once; more wait in the system's own queue.
const MOST_CONNECTIONS: usize = 10_000;

/// How long a stopping server still takes connections, so that a balancer sees `/readyz` fail.
const NOTICE: Duration = Duration::from_millis(300);

/// How long a stopping server waits for requests that are under way.
const GRACE: Duration = Duration::from_secs(10);

/// Serves until `stop`, then finishes what is under way and puts the database to rest.
pub async fn serve(listener: TcpListener, app: Arc<App>, stop: CancellationToken) {
    let router = super::router(&app);
    let connections = TaskTracker::new();
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let draining = CancellationToken::new();

    let mut notice = std::pin::pin!(async {
        stop.cancelled().await;
        app.stopping.cancel();
        tokio::time::sleep(NOTICE).await;
    });
    loop {
        tokio::select! {
            () = &mut notice => break,
            accepted = accept(&listener, &places) => {
                if let Some((stream, peer, place)) = accepted {
                    let (app, router) = (Arc::clone(&app), router.clone());
                    let draining = draining.clone();
                    connections.spawn(async move {
                        connection(stream, peer, app, router, draining).await;
                        drop(place);
                    });
                }
            }
        }
    }
    drop(listener);
    draining.cancel();
    connections.close();
    app.talks.close();
    let finished = async { tokio::join!(connections.wait(), app.talks.wait()) };
    if tokio::time::timeout(GRACE, finished).await.is_err() {
        tracing::warn!(
            open = connections.len(),
            "clients did not finish in time; leaving them"
        );
    }
    app.db.close().await;
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, place)),
        Err(error) => {
            // Out of file handles, or the client left already: go on, and not in a tight loop.
            tracing::warn!(%error, "a connection could not be accepted");
            tokio::time::sleep(Duration::from_millis(20)).await;
            None
        }
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    app: Arc<App>,
    router: Router,
    draining: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps its small packets back");
    }
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (app, router) = (Arc::clone(&app), router.clone());
        async move {
            let response = edge::handle(&app, router, request.map(Body::new), peer.ip()).await;
            Ok::<_, Infallible>(response)
        }
    });
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD)
            .max_buf_size(HEAD_LIMIT)
            .max_headers(MOST_HEADERS)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades()
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = draining.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}
