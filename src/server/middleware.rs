//! The outermost middleware: request id, client address, quotas, timeout, security headers. It writes errors
//! as problem+json and logs them, once.

use std::{
    any::Any,
    convert::Infallible,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    extract::{MatchedPath, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header, uri::Authority,
};
use http_body::Body as _;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
use tower_http::{
    catch_panic::CatchPanicLayer,
    request_id::{MakeRequestId, PropagateRequestIdLayer, RequestId, SetRequestIdLayer},
};
use tracing::Instrument;

use super::{
    problem_response::write_problem,
    request_checks::{check_framing, count_http2_buffers, is_http2},
    request_log,
};
use crate::{
    app::App,
    core::error::{Error, Kind},
    infra::{
        config::origin_of,
        web::{
            client::{ClientAddress, client_address, is_trusted_proxy},
            client_quota::Reservation,
            request_context,
        },
    },
};

/// Responses up to this size, in bytes, do not count towards the quota of response bytes.
const MAX_UNCOUNTED_RESPONSE: usize = 32 * 1024;

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Tells browsers to use only HTTPS for two years (RFC 6797). It does not include subdomains, which may be of other
/// services.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=63072000");

/// The headers of each response that does not set them itself. `tower_http::set_header` would add a layer for
/// each of them, which costs a read 2 % of its instructions.
static SECURITY_HEADERS: [(HeaderName, HeaderValue); 7] = [
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    ),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"),
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (RESOURCE_POLICY, HeaderValue::from_static("same-origin")),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), geolocation=(), microphone=()"),
    ),
];

/// Returns the service for the requests of one connection: the router inside all middleware.
pub fn service(
    app: Arc<App>,
    router: Router,
    peer: IpAddr,
) -> impl Service<Request<Body>, Response = Response, Error = Infallible, Future: Send> + Clone {
    let handle = {
        let app = Arc::clone(&app);
        service_fn(move |request: Request<Body>| {
            let (app, router) = (Arc::clone(&app), router.clone());
            let id = request.headers().get(REQUEST_ID).cloned();
            let span = request_log::span(request.method(), id.as_ref());
            // Boxed, since every layer moves the future, which is large.
            let handled =
                Box::pin(
                    async move { Ok::<_, Infallible>(handle(&app, router, request, peer).await) },
                );
            request_context::scope(id, handled.instrument(span))
        })
    };
    with_headers(app, handle)
}

/// Adds the request id and the security headers to a service.
pub(super) fn with_headers<S>(
    app: Arc<App>,
    service: S,
) -> impl Service<Request<Body>, Response = Response, Error = Infallible, Future: Send> + Clone
where
    S: Service<Request<Body>, Response = Response, Error = Infallible, Future: Send> + Clone,
{
    ServiceBuilder::new()
        .map_request(remove_invalid_request_id)
        .layer(SetRequestIdLayer::new(REQUEST_ID, NewRequestId(app)))
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .map_response(add_security_headers)
        .service(service)
}

fn add_security_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in &SECURITY_HEADERS {
        headers.entry(name).or_insert_with(|| value.clone());
    }
    response
}

/// Removes an invalid request id, so that the request gets a new one.
fn remove_invalid_request_id(mut request: Request<Body>) -> Request<Body> {
    let is_valid = |value: &HeaderValue| {
        let is_allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
        (1..=128).contains(&value.len()) && value.as_bytes().iter().all(is_allowed)
    };
    if !request.headers().get(REQUEST_ID).is_some_and(is_valid) {
        request.headers_mut().remove(REQUEST_ID);
    }
    request
}

/// Makes the ids of requests that have none.
#[derive(Clone)]
struct NewRequestId(Arc<App>);

impl MakeRequestId for NewRequestId {
    fn make_request_id<B>(&mut self, _: &Request<B>) -> Option<RequestId> {
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        let id = self.0.rng.uuid(self.0.clock.now());
        let id = HeaderValue::from_str(id.hyphenated().encode_lower(&mut text));
        id.ok().map(RequestId::new)
    }
}

/// Handles one request, which has a request id.
async fn handle(app: &App, router: Router, mut request: Request<Body>, peer: IpAddr) -> Response {
    let started = Instant::now();
    warn_about_origin(app, &request);
    let id = request.headers().get(REQUEST_ID).cloned();
    let request_id = id.as_ref().and_then(|id| id.to_str().ok());
    let request_id = request_id.unwrap_or_default();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let client = client_address(request.headers(), peer, &app.config);
    let sent = request.headers();
    let is_authenticated =
        sent.contains_key(header::AUTHORIZATION) || sent.contains_key("cart-token");
    request.extensions_mut().insert(ClientAddress(client));
    // Held until the handler has returned, whatever it does with the body.
    let meter = app.bodies.meter(Some(client));
    request.extensions_mut().insert(meter.clone());

    let checked = check_framing(&request).and_then(|()| count_http2_buffers(&request, &meter));
    let mut response = match checked {
        Ok(()) => run_within_quotas(app, router, request, peer, client).await,
        Err(error) => reject_and_close(error),
    };
    if method == Method::TRACE && response.status() == StatusCode::NOT_FOUND {
        response = trace_not_allowed();
    }
    drop(meter);
    if response.status().as_u16() >= 400 {
        response = write_problem(app, response, request_id);
    }
    add_base_path(&app.base_path, response.headers_mut());

    let headers = response.headers_mut();
    if path.starts_with("/images/") {
        headers.insert(RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
    }
    if app.settings().public_url.starts_with("https://") {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
    let returns_token =
        path.starts_with("/api/v1/auth/") || path == "/api/v1/carts" || path == "/demo/session";
    if is_authenticated || returns_token {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    let recorded = request_context::take();
    request_log::Handled {
        method: &method,
        route: recorded.route.as_ref().map(MatchedPath::as_str),
        status: response.status(),
        duration: started.elapsed(),
        client,
        user: recorded.user,
        request_id,
    }
    .record();
    response
}

/// Logs the origin of a page that browsers keep from reading the response, or from opening a WebSocket.
fn warn_about_origin(app: &App, request: &Request<Body>) {
    let headers = request.headers();
    let Some(origin) = headers.get(header::ORIGIN) else {
        return;
    };
    let Some(origin) = origin.to_str().ok().and_then(origin_of) else {
        return;
    };
    // A page of the shop itself, by a name that is not that of `public_url`, needs no CORS.
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let host = request.uri().authority().map(Authority::as_str).or(host);
    let is_own =
        host.is_some_and(|host| origin.split_once("://").is_some_and(|(_, it)| it == host));
    if !app.allows_page(&origin) && (!is_own || headers.contains_key(header::UPGRADE)) {
        app.refused_origins.warn(&origin);
    }
}

/// Records the route, applies the rate limits and adds their headers. It runs inside the CORS layer, so that
/// pages of other origins can read the error and the headers.
pub async fn limit(
    State(app): State<Arc<App>>,
    ClientAddress(client): ClientAddress,
    request: axum::extract::Request,
    next: Next,
) -> Response {
    if let Some(route) = request.extensions().get::<MatchedPath>() {
        request_context::set_route(route.clone());
    }
    let (quota, allowed) = app.limits.check(request.method(), request.uri(), client);
    let mut response = match allowed {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    if let Some(quota) = quota {
        let quota = match retry_after(&response) {
            Some(pause) => quota.exhausted(pause),
            None => quota,
        };
        quota.write(response.headers_mut());
    }
    response
}

/// Returns `Retry-After` of a 429 response, which a handler may have returned for an account's own limit.
fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get(header::RETRY_AFTER)?;
    let seconds = value.to_str().ok()?.parse().ok()?;
    let is_limited = response.status() == StatusCode::TOO_MANY_REQUESTS;
    is_limited.then(|| Duration::from_secs(seconds))
}

fn reject_and_close(error: Error) -> Response {
    let mut response = error.into_response();
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}

/// The response to `TRACE` requests, which no route supports.
fn trace_not_allowed() -> Response {
    let allow = (header::ALLOW, HeaderValue::from_static(""));
    (StatusCode::METHOD_NOT_ALLOWED, [allow]).into_response()
}

/// The quota reservations that a response holds until it is written.
#[derive(Debug, Clone)]
pub struct ResponseReservations {
    _reservations: Arc<[Reservation]>,
}

/// Runs a request within its client's quotas.
///
/// A request through a trusted proxy counts, since the proxy's connections do not; so does one of HTTP/2, since a
/// connection has many. A large response counts by its bytes, which stay in memory until the client has read
/// them; with HTTP/2 a small one, too. The response to a write is never replaced by an error: the write is
/// committed.
async fn run_within_quotas(
    app: &App,
    router: Router,
    request: Request<Body>,
    peer: IpAddr,
    client: IpAddr,
) -> Response {
    let over_quota = |_| {
        Error::unavailable("too many requests of this client are in progress; retry later")
            .into_response()
    };
    let mut reservations = Vec::new();
    let is_http2 = is_http2(&request);
    if is_http2 || is_trusted_proxy(&app.config, peer) {
        match app.multiplexed_requests.try_acquire(client) {
            Ok(reservation) => reservations.push(reservation),
            Err(error) => return over_quota(error),
        }
    }
    let is_read = request.method().is_safe();
    let mut response = run(router, request, app.timeouts.request).await;
    let size = response.body().size_hint().exact().unwrap_or_default();
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if size > MAX_UNCOUNTED_RESPONSE || (is_http2 && size > 0) {
        let mut reservation = app.response_bytes.reservation(Some(client));
        match reservation.try_grow(size) {
            Ok(()) => reservations.push(reservation),
            Err(error) if is_read => return over_quota(error),
            Err(_) => {}
        }
    }
    if !reservations.is_empty() {
        response.extensions_mut().insert(ResponseReservations {
            _reservations: reservations.into(),
        });
    }
    response
}

/// Runs the router. A panic or a timeout is an error; `tower_http::timeout` would answer without its detail and
/// without `Connection: close`.
async fn run(router: Router, request: Request<Body>, timeout: Duration) -> Response {
    let response = ServiceBuilder::new()
        .timeout(timeout)
        .layer(CatchPanicLayer::custom(panicked))
        .service(router)
        .oneshot(request);
    match response.await {
        Ok(response) => response.map(Body::new),
        Err(_) => {
            Error::new(Kind::RequestTimeout, "the request did not complete in time").into_response()
        }
    }
}

fn panicked(_: Box<dyn Any + Send>) -> Response {
    Error::internal("a handler panicked").into_response()
}

/// Prepends the path of the public URL to the paths in `Location` and `Link`.
fn add_base_path(base: &str, headers: &mut HeaderMap) {
    if base.is_empty() {
        return;
    }
    let mut replace = |name: HeaderName, with_base: &dyn Fn(&str) -> String| {
        if let Some(Ok(text)) = headers.get(&name).map(HeaderValue::to_str)
            && let Ok(value) = HeaderValue::from_str(&with_base(text))
        {
            headers.insert(name, value);
        }
    };
    replace(header::LOCATION, &|path| format!("{base}{path}"));
    replace(header::LINK, &|links| {
        links.replace("</", &format!("<{base}/"))
    });
}
