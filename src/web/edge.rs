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
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, header};
use tower::ServiceExt;

use super::{
    App,
    client::{ClientAddress, client_address},
    problems,
    respond::{self, Failure, Problem},
};
use crate::error::{Error, Kind};

/// How long a request may take, its body included.
const PATIENCE: Duration = Duration::from_mins(1);

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

    let mut response = run(router, request).await;
    if response.status().as_u16() >= 400 {
        response = explain(response, &id);
    }

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
    let (standing, allowed) = app
        .limits
        .check(request.method(), request.uri().path(), client);
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
    let id = app.chance.uuid(app.clock.now());
    HeaderValue::from_str(id.hyphenated().encode_lower(&mut text))
        .unwrap_or(HeaderValue::from_static("unknown"))
}

/// Writes the problem into a response that failed, and the failure into the log.
fn explain(mut response: Response, id: &HeaderValue) -> Response {
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
        kind: format!("/problems/{}", problem.code),
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
