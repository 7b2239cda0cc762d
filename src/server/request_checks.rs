//! Checks of a request before it is routed: its framing, and the memory that it takes.

use axum::body::Body;
use http::{Request, Version, header, uri::Authority};
use http_body::Body as _;

use super::transport::MAX_UNCOUNTED_HEAD;
use crate::{
    core::error::{Error, Kind, Result},
    infra::web::body::BodyMeter,
};

/// The maximum number of bytes of request bodies that an HTTP/2 connection, and each of its streams, receives before
/// a handler reads them.
pub(super) const HTTP2_WINDOW: u32 = 128 * 1024;

/// Marks a request whose head has more than one length.
#[derive(Debug, Clone, Copy)]
pub(super) struct AmbiguousLength;

/// Rejects requests that two HTTP implementations may interpret differently, which enables request smuggling
/// (RFC 9112, sections 3.2 and 6.1).
///
/// Errors: `invalid-header`.
pub(super) fn check_framing(request: &Request<Body>) -> Result<()> {
    let invalid = |detail: &'static str| Err(Error::new(Kind::InvalidHeader, detail));
    if request.extensions().get::<AmbiguousLength>().is_some() {
        return invalid("send exactly one `Content-Length`, or `Transfer-Encoding`");
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if request.version() < Version::HTTP_11 => Ok(()),
        // It has a pseudo-header instead; a `Host` beside it must be the same (RFC 9113, section 8.3.1).
        (host, None) if is_http2(request) => {
            let authority = request.uri().authority().map(Authority::as_str);
            let is_same =
                host.is_none_or(|host| Some(host.as_bytes()) == authority.map(str::as_bytes));
            if authority.is_some() && is_same {
                Ok(())
            } else {
                invalid("send exactly one valid `:authority`")
            }
        }
        (Some(host), None) if Authority::try_from(host.as_bytes()).is_ok() => Ok(()),
        _ => invalid("send exactly one valid `Host` header"),
    }
}

pub(super) fn is_http2(request: &Request<Body>) -> bool {
    request.version() == Version::HTTP_2
}

/// Counts what an HTTP/2 request keeps in memory before its handler reads it: a large head, and the part of the body
/// that the window lets through. HTTP/1 has at most one such request for each connection, and the transport counts
/// its head.
///
/// Errors: `unavailable` if the budget is exhausted.
pub(super) fn count_http2_buffers(request: &Request<Body>, meter: &BodyMeter) -> Result<()> {
    if !is_http2(request) {
        return Ok(());
    }
    let headers = request.headers().iter();
    let head: usize = headers
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if head > MAX_UNCOUNTED_HEAD {
        meter.add(head)?;
    }
    let window = u64::from(HTTP2_WINDOW);
    let body = request.body().size_hint().upper().unwrap_or(window);
    meter.add(usize::try_from(body.min(window)).unwrap_or(usize::MAX))
}
