//! The accept loops: accept connections within the limits, and shut down gracefully.

use std::{
    convert::Infallible,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{body::Body, response::Response};
use http::Request;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::Service;

use super::{
    connection::Connection,
    connections::{Connections, Slot},
    linger::Lingering,
    redirect,
    tls::Tls,
};
use crate::{app::App, infra::web::client::is_trusted_proxy, server::middleware};

/// How long a stopping server still accepts connections, so that load balancers see `/readyz` fail.
const DRAIN_NOTICE: Duration = Duration::from_millis(300);

/// How long a stopping server waits for requests in progress.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// The pause after an error of `accept`, e.g. when no descriptor is left.
const ERROR_PAUSE: Duration = Duration::from_millis(20);

/// The minimum interval between two logs of rejected connections.
const LOG_EVERY: Duration = Duration::from_secs(1);

/// The sockets of a server.
#[derive(Debug)]
pub struct Listeners {
    pub shop: TcpListener,
    /// TLS of `shop`; `None` for plain HTTP.
    pub tls: Option<Arc<Tls>>,
    /// Plain HTTP that only redirects to the public URL.
    pub redirect: Option<TcpListener>,
}

impl From<TcpListener> for Listeners {
    fn from(shop: TcpListener) -> Listeners {
        Listeners {
            shop,
            tls: None,
            redirect: None,
        }
    }
}

/// Serves until `stop` is cancelled or the database fails, then finishes the requests in progress and closes
/// the database.
pub async fn serve(listeners: impl Into<Listeners>, app: Arc<App>, stop: CancellationToken) {
    let Listeners {
        shop,
        tls,
        redirect,
    } = listeners.into();
    let router = super::router(&app);
    let tasks = TaskTracker::new();
    let draining = CancellationToken::new();
    let server = Server {
        connections: Connections::new(app.max_connections, app.limits.is_enabled()),
        lingering: Lingering {
            tasks: tasks.clone(),
            stopping: draining.clone(),
        },
        app: Arc::clone(&app),
    };
    let shop_service = |peer| middleware::service(Arc::clone(&app), router.clone(), peer);
    let redirect_service = |_| {
        let redirect = redirect::handler(app.settings().public_url.clone());
        middleware::with_headers(Arc::clone(&app), redirect)
    };
    tokio::select! {
        () = stop_accepting(&app, &stop) => {}
        () = server.accept_loop(&shop, tls.as_ref(), shop_service) => {}
        () = server.accept_redirects(redirect.as_ref(), redirect_service) => {}
    }
    drop((shop, redirect));
    draining.cancel();
    tasks.close();
    app.background_tasks.close();
    let finished = async {
        tokio::join!(tasks.wait(), app.background_tasks.wait());
        // Closed WebSockets may linger as new tasks.
        tasks.wait().await;
    };
    if tokio::time::timeout(SHUTDOWN_TIMEOUT, finished)
        .await
        .is_err()
    {
        tracing::warn!(
            open = tasks.len(),
            "closing connections that did not finish in time"
        );
    }
    app.db.close().await;
}

/// A connection within the limits.
struct Accepted {
    stream: TcpStream,
    peer: IpAddr,
    /// The client's address; `None` if the peer is a proxy, whose connections carry many clients.
    client: Option<IpAddr>,
    slot: Slot,
}

/// Waits for the end of the server, and marks it as stopping.
async fn stop_accepting(app: &App, stop: &CancellationToken) {
    // After a failed sync, the database accepts no writes until the next start.
    tokio::select! {
        () = stop.cancelled() => {}
        () = app.db.failed().cancelled() => {}
    }
    app.stopping.cancel();
    tokio::time::sleep(DRAIN_NOTICE).await;
}

/// What the listeners of a server share.
struct Server {
    app: Arc<App>,
    connections: Connections,
    lingering: Lingering,
}

impl Server {
    /// Accepts connections until the future is dropped. `service` makes the service of a client's requests.
    async fn accept_loop<S>(
        &self,
        listener: &TcpListener,
        tls: Option<&Arc<Tls>>,
        service: impl Fn(IpAddr) -> S,
    ) where
        S: Service<Request<Body>, Response = Response, Error = Infallible>,
        S: Clone + Send + 'static,
        S::Future: Send,
    {
        let mut rejections = Rejections::default();
        loop {
            let Some(accepted) = self.accept(listener, &mut rejections).await else {
                continue;
            };
            let connection = Connection {
                client: accepted.client,
                app: Arc::clone(&self.app),
                lingering: self.lingering.clone(),
                service: service(accepted.peer),
            };
            let (stream, slot, tls) = (accepted.stream, accepted.slot, tls.cloned());
            self.lingering
                .tasks
                .spawn(async move { connection.serve(stream, slot, tls).await });
        }
    }

    /// The same for the listener that redirects, if there is one.
    async fn accept_redirects<S>(
        &self,
        listener: Option<&TcpListener>,
        service: impl Fn(IpAddr) -> S,
    ) where
        S: Service<Request<Body>, Response = Response, Error = Infallible>,
        S: Clone + Send + 'static,
        S::Future: Send,
    {
        match listener {
            Some(listener) => self.accept_loop(listener, None, service).await,
            None => std::future::pending().await,
        }
    }

    /// Accepts one connection. Returns `None` if it failed or was rejected.
    async fn accept(
        &self,
        listener: &TcpListener,
        rejections: &mut Rejections,
    ) -> Option<Accepted> {
        let (stream, peer) = match listener.accept().await {
            Ok((stream, peer)) => (stream, peer.ip()),
            Err(error) => {
                rejections.record(&error.to_string());
                tokio::time::sleep(ERROR_PAUSE).await;
                return None;
            }
        };
        let client = (!is_trusted_proxy(&self.app.config, peer)).then_some(peer);
        let Some(slot) = self.connections.register(client).await else {
            rejections.record("the client network has too many connections");
            return None;
        };
        Some(Accepted {
            stream,
            peer,
            client,
            slot,
        })
    }
}

/// Logs the number of rejected connections, at most once per [`LOG_EVERY`].
#[derive(Default)]
struct Rejections {
    unlogged: u64,
    logged_at: Option<Instant>,
}

impl Rejections {
    fn record(&mut self, reason: &str) {
        self.unlogged += 1;
        if self.logged_at.is_none_or(|at| at.elapsed() >= LOG_EVERY) {
            tracing::warn!(count = self.unlogged, reason, "connections rejected");
            self.logged_at = Some(Instant::now());
            self.unlogged = 0;
        }
    }
}
