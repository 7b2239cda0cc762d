//! Checks of a request before it is routed.

use axum::body::Body;
use http::{Request, Version, header, uri::Authority};

use crate::core::error::{Error, Kind, Result};

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
        (Some(host), None) if Authority::try_from(host.as_bytes()).is_ok() => Ok(()),
        _ => invalid("send exactly one valid `Host` header"),
    }
}
