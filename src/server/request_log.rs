//! The line in the log for each request, its metrics and its span.

use std::{net::IpAddr, time::Duration};

use ::metrics::SharedString;
use http::{HeaderValue, Method, StatusCode};
use tracing::{Span, field::Empty};

use super::metrics::{HTTP_REQUEST_DURATION, HTTP_REQUESTS};
use crate::{
    core::id::UserId,
    infra::{metrics, traces},
};

/// The routes that monitoring requests every few seconds.
const HEALTH_CHECKS: [&str; 2] = ["/healthz", "/readyz"];

/// The route of sign-ins.
const SIGN_IN: &str = "/api/v1/auth/login";

/// A request, after its response was made. It has the template of the route instead of the path, and no query: those
/// may contain what a client has typed, or a secret.
#[derive(Debug)]
pub(super) struct Handled<'a> {
    pub(super) method: &'a Method,
    /// `None` if no route matched.
    pub(super) route: Option<&'a str>,
    pub(super) status: StatusCode,
    pub(super) duration: Duration,
    pub(super) client: IpAddr,
    pub(super) user: Option<UserId>,
    pub(super) request_id: &'a str,
}

impl Handled<'_> {
    /// Logs and counts the request: health checks at `debug`, others at `info`. The target allows to silence these lines.
    pub(super) fn record(&self) {
        // An event instead of a span, which `tower_http::trace` would open for each request.
        macro_rules! log {
            ($level:ident) => {
                tracing::$level!(
                    target: "shop::request",
                    method = %method_name(self.method),
                    route = %self.route_name(),
                    status = self.status.as_u16(),
                    duration_ms = milliseconds(self.duration),
                    client = %self.client,
                    user = self.user.map(tracing::field::display),
                    request_id = %self.request_id,
                    "request handled"
                )
            };
        }
        if self
            .route
            .is_some_and(|route| HEALTH_CHECKS.contains(&route))
        {
            log!(debug);
        } else {
            log!(info);
        }
        self.trace();
        if metrics::is_installed() {
            self.count();
        }
        if self.route == Some(SIGN_IN) {
            self.log_failed_sign_in();
        }
    }

    /// Completes the span of the request.
    fn trace(&self) {
        let span = Span::current();
        if span.is_disabled() {
            return;
        }
        let (method, route) = (method_name(self.method), self.route_name());
        traces::rename(&span, format!("{method} {route}"));
        span.record("http.route", route);
        span.record("http.response.status_code", self.status.as_u16());
        if self.status.is_server_error() {
            span.record("otel.status_code", "ERROR");
        }
    }

    fn count(&self) {
        let method = SharedString::const_str(method_name(self.method));
        let route = SharedString::from(self.route_name().to_owned());
        let status = SharedString::from(self.status.as_str().to_owned());
        HTTP_REQUEST_DURATION
            .histogram([method.clone(), route.clone()])
            .record(self.duration);
        HTTP_REQUESTS.counter([method, route, status]).increment(1);
    }

    /// Logs a failed sign-in in the form that `packaging/fail2ban` reads. The line has nothing that the client sent.
    fn log_failed_sign_in(&self) {
        let reason = match self.status {
            StatusCode::UNAUTHORIZED => "wrong email address or password",
            StatusCode::TOO_MANY_REQUESTS => "too many attempts",
            _ => return,
        };
        let client = self.client;
        tracing::warn!(target: "shop::sign_in", "failed sign-in ({reason}) from {client}");
    }

    fn route_name(&self) -> &str {
        self.route.unwrap_or("-")
    }
}

/// Returns the span of a request, for traces.
pub(super) fn span(method: &Method, request_id: Option<&HeaderValue>) -> Span {
    tracing::info_span!(
        target: "shop::trace",
        "request",
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method_name(method),
        http.route = Empty,
        http.response.status_code = Empty,
        request_id = request_id.and_then(|id| id.to_str().ok()),
    )
}

/// Returns the name of a method. Unknown ones share one name, so that a client cannot make up any number of them.
fn method_name(method: &Method) -> &'static str {
    const KNOWN: [&str; 9] = [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE",
    ];
    let known = KNOWN.into_iter().find(|known| *known == method.as_str());
    known.unwrap_or("OTHER")
}

/// Returns a duration in milliseconds with three decimals.
fn milliseconds(duration: Duration) -> f64 {
    let micros = u32::try_from(duration.as_micros()).unwrap_or(u32::MAX);
    f64::from(micros) / 1000.0
}
