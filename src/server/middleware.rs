//! The outermost step of every request: its id, its limits, its time, and the manners of every
//! answer. Errors become problem+json here, and are logged here, once.

use std::{
    net::IpAddr,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    extract::State,
    middleware::Next,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::FutureExt;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Version, header,
    uri::Authority,
};
use http_body::Body as _;
use tower::ServiceExt;

use crate::{
    app::App,
    core::error::{Error, Kind, Result},
    infra::web::{
        client::{ClientAddress, client_address, is_trusted_proxy},
        problems,
        respond::{self, Failure, Problem},
        shares::Share,
    },
};

/// How long a request may take, its body included.
const PATIENCE: Duration = Duration::from_mins(1);

/// A response of at most so many bytes is not counted.
const FREE_RESPONSE: usize = 32 * 1024;

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// On every response that does not say otherwise itself.
const MANNERS: [(HeaderName, HeaderValue); 7] = [
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
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), geolocation=(), microphone=()"),
    ),
];

/// Answers one request.
pub async fn handle(
    app: &Arc<App>,
    router: Router,
    mut request: Request<Body>,
    peer: IpAddr,
) -> Response {
    let started = Instant::now();
    let id = request_id(app, request.headers());
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let client = client_address(request.headers(), peer, &app.config);
    let is_authenticated = request.headers().contains_key(header::AUTHORIZATION);
    request.extensions_mut().insert(ClientAddress(client));
    // Held until the response is made, whatever becomes of the body.
    let meter = app.bodies.meter(Some(client));
    request.extensions_mut().insert(meter.clone());

    let mut response = match check_framing(&request) {
        Ok(()) => run_within_shares(app, router, request, peer, client).await,
        Err(error) => refuse_framing(error),
    };
    if method == Method::TRACE && response.status() == StatusCode::NOT_FOUND {
        response = trace_not_allowed();
    }
    drop(meter);
    if response.status().as_u16() >= 400 {
        response = explain(app, response, &id);
    }
    add_base_path(&app.base_path, response.headers_mut());

    let is_image = path.starts_with("/images/");
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id);
    for (name, value) in &MANNERS {
        if let header::Entry::Vacant(entry) = headers.entry(name) {
            entry.insert(value.clone());
        }
    }
    if is_image {
        headers.insert(
            HeaderName::from_static("cross-origin-resource-policy"),
            HeaderValue::from_static("cross-origin"),
        );
    }
    if is_authenticated || path.starts_with("/api/v1/auth/") {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    tracing::debug!(
        request_id = response.headers()[REQUEST_ID].to_str().unwrap_or_default(),
        %method,
        path,
        status = response.status().as_u16(),
        micros = started.elapsed().as_micros(),
        "answered"
    );
    response
}

/// Turns away who asks too often, and tells everybody else how they stand. It stands inside CORS, so
/// that a browser's page may read both.
pub async fn limit(
    State(app): State<Arc<App>>,
    ClientAddress(client): ClientAddress,
    request: axum::extract::Request,
    next: Next,
) -> Response {
    let (standing, allowed) = app.limits.check(request.method(), request.uri(), client);
    let mut response = match allowed {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    if let Some(standing) = standing {
        let standing = match retry_after(&response) {
            Some(seconds) => standing.exhausted(seconds),
            None => standing,
        };
        standing.write(response.headers_mut());
    }
    response
}

/// How long whoever was told that it is too much has to wait: also for what an account has used up.
fn retry_after(response: &Response) -> Option<Duration> {
    let told = response.headers().get(header::RETRY_AFTER)?;
    let seconds = told.to_str().ok()?.parse().ok()?;
    let is_too_much = response.status() == StatusCode::TOO_MANY_REQUESTS;
    is_too_much.then(|| Duration::from_secs(seconds))
}

/// Marks a request whose head names more than one length.
#[derive(Debug, Clone, Copy)]
pub struct AmbiguousLength;

/// Refuses what two HTTP implementations may read differently (RFC 9112, sections 3.2 and 6.1).
fn check_framing(request: &Request<Body>) -> Result<()> {
    let refused = |detail: &'static str| Err(Error::new(Kind::InvalidHeader, detail));
    if request.extensions().get::<AmbiguousLength>().is_some() {
        return refused("send either one `Content-Length` or `Transfer-Encoding`");
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if request.version() < Version::HTTP_11 => Ok(()),
        (Some(host), None) if Authority::try_from(host.as_bytes()).is_ok() => Ok(()),
        _ => refused("send one valid `Host`"),
    }
}

fn refuse_framing(error: Error) -> Response {
    let mut response = error.into_response();
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}

/// No resource is traced, whether it exists or not.
fn trace_not_allowed() -> Response {
    let allow = (header::ALLOW, HeaderValue::from_static(""));
    (StatusCode::METHOD_NOT_ALLOWED, [allow]).into_response()
}

/// What a response holds until it is written.
#[derive(Debug, Clone)]
pub struct ResponseShares {
    _shares: Arc<[Share]>,
}

/// Runs a request within its client's shares. A request that came through a trusted proxy counts for
/// its client, since the proxy's connections count for nobody; a large response counts by its bytes, since
/// they stay in memory until the client has read them. The response to a write is never replaced: what it
/// reports is committed.
async fn run_within_shares(
    app: &App,
    router: Router,
    request: Request<Body>,
    peer: IpAddr,
    client: IpAddr,
) -> Response {
    let full = |_| {
        Error::unavailable("too many requests of this client are in progress; retry later")
            .into_response()
    };
    let mut shares = Vec::new();
    if is_trusted_proxy(&app.config, peer) {
        match app.proxied_requests.try_acquire(client) {
            Ok(share) => shares.push(share),
            Err(error) => return full(error),
        }
    }
    let is_read = request.method().is_safe();
    let mut response = run(router, request).await;
    let size = response.body().size_hint().exact().unwrap_or_default();
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if size > FREE_RESPONSE {
        let mut share = app.response_bytes.empty(Some(client));
        match share.try_grow(size) {
            Ok(()) => shares.push(share),
            Err(error) if is_read => return full(error),
            Err(_) => {}
        }
    }
    if !shares.is_empty() {
        response.extensions_mut().insert(ResponseShares {
            _shares: shares.into(),
        });
    }
    response
}

async fn run(router: Router, request: Request<Body>) -> Response {
    let answer = AssertUnwindSafe(router.oneshot(request)).catch_unwind();
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Ok(Ok(response))) => response,
        Ok(Err(_)) => Error::internal("a handler panicked").into_response(),
        Err(_) => Error::new(Kind::TooSlow, "the request took too long to arrive").into_response(),
    }
}

/// Keeps a valid id that was sent, or makes one.
fn request_id(app: &App, headers: &HeaderMap) -> HeaderValue {
    let is_fit = |value: &&HeaderValue| {
        let fit = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
        (1..=128).contains(&value.len()) && value.as_bytes().iter().all(fit)
    };
    if let Some(sent) = headers.get(REQUEST_ID).filter(is_fit) {
        return sent.clone();
    }
    let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
    let id = app.rng.uuid(app.clock.now());
    HeaderValue::from_str(id.hyphenated().encode_lower(&mut text))
        .unwrap_or(HeaderValue::from_static("unknown"))
}

/// Puts the path of the public URL in front of the paths that the routes wrote.
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

/// Writes the problem into a response that failed, and the failure into the log.
fn explain(app: &App, mut response: Response, id: &HeaderValue) -> Response {
    let request_id = id.to_str().unwrap_or_default();
    let failure = response.extensions_mut().remove::<Failure>();
    if let Some(Failure(error)) = &failure {
        match error.kind() {
            Kind::Internal | Kind::StorageFull => {
                tracing::error!(request_id, ?error, "a request failed");
            }
            // Overload must not flood the log as well.
            Kind::Unavailable => tracing::warn!(request_id, detail = error.detail(), "unavailable"),
            _ => {}
        }
    }
    let problem = match &failure {
        Some(Failure(error)) => respond::problem(error.kind()),
        None if is_problem(&response) => return response,
        None => problems::by_status(response.status().as_u16()),
    };
    let Some(problem) = problem else {
        return response;
    };
    let body = Problem {
        kind: format!("{}/problems/{}", app.base_path, problem.code),
        title: problem.title,
        status: problem.status,
        detail: failure
            .as_ref()
            .map_or(problem.remedy, |Failure(error)| error.detail()),
        code: problem.code,
        request_id,
        errors: failure
            .as_ref()
            .map_or(&[], |Failure(error)| error.fields()),
    };
    let body = serde_json::to_vec(&body).unwrap_or_default();
    *response.status_mut() =
        StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.body_mut() = Body::from(Bytes::from(body));
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    response
}

fn is_problem(response: &Response) -> bool {
    response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes() == b"application/problem+json")
}
