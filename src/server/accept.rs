//! The accept loop: serves connections with limits and timeouts, and shuts down gracefully.

use std::{
    convert::Infallible,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Router, body::Body};
use http::{HeaderValue, StatusCode, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

use super::{
    bodies::{self, RequestBody, Unread},
    connections::{Connections, Phase, Slot},
    deadlines::{HEAD_TIMEOUT, STALL_TIMEOUT},
    linger::Lingering,
    request_checks::AmbiguousLength,
    transport::Transport,
};
use crate::{
    app::App,
    infra::web::client::is_trusted_proxy,
    server::middleware::{self, ResponseReservations},
};

/// The maximum size of a request's head, in bytes.
const MAX_HEAD_LEN: usize = 64 * 1024;

/// The maximum number of headers of a request.
const MAX_HEADERS: usize = 100;

/// The maximum number of unsent bytes that the kernel buffers. A larger buffer would hide a slow reader.
const UNSENT_LIMIT: u32 = 32 * 1024;

/// How long a stopping server still accepts connections, so that load balancers see `/readyz` fail.
const DRAIN_NOTICE: Duration = Duration::from_millis(300);

/// How long a stopping server waits for requests in progress.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(10);

/// The pause after an error of `accept`, e.g. when no descriptor is left.
const ERROR_PAUSE: Duration = Duration::from_millis(20);

/// The minimum interval between two logs of rejected connections.
const LOG_EVERY: Duration = Duration::from_secs(1);

/// Serves until `stop` is cancelled or the database fails, then finishes the requests in progress and closes
/// the database.
pub async fn serve(listener: TcpListener, app: Arc<App>, stop: CancellationToken) {
    let router = super::router(&app);
    let tasks = TaskTracker::new();
    let draining = CancellationToken::new();
    let lingering = Lingering {
        tasks: tasks.clone(),
        stopping: draining.clone(),
    };
    let mut admission = Admission {
        connections: Connections::new(app.max_connections, app.limits.is_enabled()),
        rejections: Rejections::default(),
    };

    let mut notice = std::pin::pin!(async {
        // After a failed sync, the database accepts no writes until the next start.
        tokio::select! {
            () = stop.cancelled() => {}
            () = app.db.failed().cancelled() => {}
        }
        app.stopping.cancel();
        tokio::time::sleep(DRAIN_NOTICE).await;
    });
    loop {
        tokio::select! {
            () = &mut notice => break,
            accepted = admission.accept(&listener, &app) => {
                if let Some(accepted) = accepted {
                    let (app, router) = (Arc::clone(&app), router.clone());
                    tasks.spawn(connection(accepted, app, router, lingering.clone()));
                }
            }
        }
    }
    drop(listener);
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

/// Accepts connections up to the limits.
struct Admission {
    connections: Connections,
    rejections: Rejections,
}

impl Admission {
    async fn accept(&mut self, listener: &TcpListener, app: &App) -> Option<Accepted> {
        let (stream, peer) = match listener.accept().await {
            Ok((stream, peer)) => (stream, peer.ip()),
            Err(error) => {
                self.rejections.record(&error.to_string());
                tokio::time::sleep(ERROR_PAUSE).await;
                return None;
            }
        };
        let client = (!is_trusted_proxy(&app.config, peer)).then_some(peer);
        let Some(slot) = self.connections.register(client).await else {
            self.rejections
                .record("the client network has too many connections");
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

async fn connection(accepted: Accepted, app: Arc<App>, router: Router, lingering: Lingering) {
    let Accepted {
        stream,
        peer,
        client,
        slot,
    } = accepted;
    if let Err(error) = set_options(&stream) {
        tracing::debug!(%error, "could not set socket options");
    }
    let activity = Arc::clone(slot.activity());
    let draining = lingering.stopping.clone();
    let keep_alive = app.config.keep_alive;
    let heads = {
        let app = Arc::clone(&app);
        move || app.bodies.meter(client)
    };
    let service = middleware::service(app, router, peer);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        activity.enter(Phase::Request);
        let (service, activity) = (service.clone(), Arc::clone(&activity));
        async move {
            let unread = Arc::<Unread>::default();
            let expects = request.headers().contains_key(header::EXPECT);
            let mut request = request.map(|body| {
                let (activity, unread) = (Arc::clone(&activity), Arc::clone(&unread));
                Body::new(RequestBody::new(body, activity, unread))
            });
            if activity.has_ambiguous_length() {
                request.extensions_mut().insert(AmbiguousLength);
            }
            let Ok(mut response) = service.oneshot(request).await;
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                activity.enter(Phase::Upgraded);
            } else if !response.headers().contains_key(header::CONNECTION)
                && !unread.drain(&activity, expects).await
            {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(header::CONNECTION, close);
            }
            activity.hold(response.extensions_mut().remove::<ResponseReservations>());
            Ok::<_, Infallible>(response.map(|body| bodies::response_body(body, activity)))
        }
    });
    let transport = Transport::new(stream, slot, heads, keep_alive, lingering);
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            // The transport has finer deadlines, but without this one hyper would not poll an idle connection.
            .header_read_timeout(keep_alive + HEAD_TIMEOUT)
            .max_buf_size(MAX_HEAD_LEN)
            .max_headers(MAX_HEADERS)
            .serve_connection(TokioIo::new(transport), service)
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
        tracing::debug!(%error, "connection ended with an error");
    }
}

/// Disables Nagle's algorithm, limits the kernel's send buffer, and sets the timeout for unacknowledged data.
fn set_options(stream: &TcpStream) -> std::io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(UNSENT_LIMIT)?;
    socket.set_tcp_user_timeout(Some(STALL_TIMEOUT))
}
