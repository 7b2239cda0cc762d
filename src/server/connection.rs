//! One connection: the TLS handshake, then HTTP/1.1 or HTTP/2 with limits and timeouts.

use std::{convert::Infallible, net::IpAddr, sync::Arc, time::Duration};

use axum::{body::Body, response::Response};
use http::{HeaderValue, Request, StatusCode, header};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::{net::TcpStream, time::timeout};
use tokio_util::either::Either;
use tower::{Service, ServiceExt};

use super::{
    bodies::{self, RequestBody, Unread},
    connections::{Phase, Slot},
    deadlines::{ReadDeadline, STALL_TIMEOUT},
    linger::Lingering,
    request_checks::{AmbiguousLength, HTTP2_WINDOW},
    streams::{self, Streams},
    tls::{Protocol, Stream, Tls},
    transport::Transport,
};
use crate::{app::App, server::middleware::ResponseReservations};

/// The maximum size of a request's head, in bytes.
const MAX_HEAD_LEN: u32 = 64 * 1024;

/// The maximum number of headers of an HTTP/1 request.
const MAX_HEADERS: usize = 100;

/// The maximum number of unsent bytes that the kernel buffers. A larger buffer would hide a slow reader.
const UNSENT_LIMIT: u32 = 32 * 1024;

/// The maximum number of requests in progress on one HTTP/2 connection, the minimum that RFC 9113 recommends.
const MAX_STREAMS: u32 = 100;

/// How many HTTP/2 streams a client may reset before the server has begun their requests ("rapid reset").
const MAX_PENDING_RESETS: usize = 20;

/// How many HTTP/2 streams of a connection the server may have reset because of the client's errors.
const MAX_ERROR_RESETS: usize = 100;

/// How often an HTTP/2 client must answer a ping.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// How long it may take to answer a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// How often an HTTP/2 connection is searched for responses that the client does not read.
const STALL_CHECK_INTERVAL: Duration = Duration::from_secs(10);

/// A connection that was accepted.
pub(super) struct Connection<S> {
    /// The client's address; `None` if the peer is a proxy, whose connections carry many clients.
    pub(super) client: Option<IpAddr>,
    pub(super) app: Arc<App>,
    pub(super) lingering: Lingering,
    /// Handles the requests.
    pub(super) service: S,
}

impl<S> Connection<S>
where
    S: Service<Request<Body>, Response = Response, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
{
    pub(super) async fn serve(self, stream: TcpStream, slot: Slot, tls: Option<Arc<Tls>>) {
        if let Err(error) = set_options(&stream) {
            tracing::debug!(%error, "could not set socket options");
        }
        let (stream, protocol) = match tls {
            None => (Either::Left(stream), Protocol::Http1),
            Some(tls) => {
                let limit = self.app.timeouts.head;
                match handshake(&tls, stream, limit, &slot, &self.lingering).await {
                    Some(secured) => secured,
                    None => return,
                }
            }
        };
        let ended = match protocol {
            Protocol::Http1 => self.serve_http1(stream, slot).await,
            Protocol::Http2 => self.serve_http2(stream, slot).await,
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "connection ended with an error");
        }
    }

    fn transport(&self, stream: Stream, slot: Slot, protocol: Protocol) -> TokioIo<Transport> {
        let (app, client) = (Arc::clone(&self.app), self.client);
        let reads = ReadDeadline::new(app.timeouts.head, app.config.keep_alive);
        let heads = (protocol == Protocol::Http1).then(|| {
            Box::new(move || app.bodies.meter(client)) as Box<dyn Fn() -> _ + Send + Sync>
        });
        TokioIo::new(Transport::new(
            stream,
            slot,
            heads,
            reads,
            self.lingering.clone(),
        ))
    }

    async fn serve_http1(self, stream: Stream, slot: Slot) -> hyper::Result<()> {
        let activity = Arc::clone(slot.activity());
        let transport = self.transport(stream, slot, Protocol::Http1);
        let draining = self.lingering.stopping.clone();
        let service = self.service;
        let service = service_fn(move |request: Request<Incoming>| {
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
        let mut connection = std::pin::pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                // The transport has finer deadlines, but without this one hyper would not poll an idle connection.
                .header_read_timeout(self.app.config.keep_alive + self.app.timeouts.head)
                .max_buf_size(MAX_HEAD_LEN as usize)
                .max_headers(MAX_HEADERS)
                .serve_connection(transport, service)
                .with_upgrades()
        );
        tokio::select! {
            ended = connection.as_mut() => ended,
            () = draining.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    }

    async fn serve_http2(self, stream: Stream, slot: Slot) -> hyper::Result<()> {
        let streams = Streams::new(Arc::clone(slot.activity()), self.lingering.clone());
        let transport = self.transport(stream, slot, Protocol::Http2);
        let draining = self.lingering.stopping.clone();
        let service = self.service;
        let opened = Arc::clone(&streams);
        let service = service_fn(move |request: Request<Incoming>| {
            let (service, stream) = (service.clone(), opened.open());
            async move {
                let request = request.map(|body| Body::new(stream.request_body(body)));
                let Ok(mut response) = service.oneshot(request).await;
                // It means the whole connection, and HTTP/2 has none for a single request.
                response.headers_mut().remove(header::CONNECTION);
                let held = response.extensions_mut().remove::<ResponseReservations>();
                Ok::<_, Infallible>(response.map(|body| streams::response_body(body, stream, held)))
            }
        });
        let mut connection = std::pin::pin!(
            http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .max_concurrent_streams(MAX_STREAMS)
                .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
                .max_local_error_reset_streams(MAX_ERROR_RESETS)
                .max_header_list_size(MAX_HEAD_LEN)
                .initial_stream_window_size(HTTP2_WINDOW)
                .initial_connection_window_size(HTTP2_WINDOW)
                .keep_alive_interval(PING_INTERVAL)
                .keep_alive_timeout(PING_TIMEOUT)
                .serve_connection(transport, service)
        );
        let mut checks = tokio::time::interval(STALL_CHECK_INTERVAL);
        let mut is_draining = false;
        loop {
            tokio::select! {
                ended = connection.as_mut() => return ended,
                () = draining.cancelled(), if !is_draining => {
                    is_draining = true;
                    connection.as_mut().graceful_shutdown();
                }
                _ = checks.tick() => if streams.has_stalled() {
                    tracing::debug!("closing a connection whose client does not read its responses");
                    return Ok(());
                }
            }
        }
    }
}

/// Runs the handshake within its timeout. Returns `None` if there is nothing to serve.
async fn handshake(
    tls: &Tls,
    stream: TcpStream,
    limit: Duration,
    slot: &Slot,
    lingering: &Lingering,
) -> Option<(Stream, Protocol)> {
    let handshake = timeout(limit, tls.handshake(stream));
    let done = tokio::select! {
        done = handshake => done.unwrap_or_else(|elapsed| Err(elapsed.into())),
        () = slot.activity().evicted() => return None,
        () = lingering.stopping.cancelled() => return None,
    };
    done.unwrap_or_else(|error| {
        tracing::debug!(%error, "the TLS handshake failed");
        None
    })
}

/// Disables Nagle's algorithm, limits the kernel's send buffer, and sets the timeout for unacknowledged data.
fn set_options(stream: &TcpStream) -> std::io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(UNSENT_LIMIT)?;
    socket.set_tcp_user_timeout(Some(STALL_TIMEOUT))
}
