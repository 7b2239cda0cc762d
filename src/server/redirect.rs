//! The listener without TLS that redirects every request to the public URL.

use std::{convert::Infallible, future::ready};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, Request, StatusCode, Uri, header, uri::PathAndQuery};
use tower::{Service, service_fn};

use crate::{
    core::error::{Error, Result},
    infra::config::Config,
};

/// Checks that there is something to redirect to. Errors: `Config`.
pub(super) fn check(config: &Config) -> Result<()> {
    let public_url = config.public_url(config.listen);
    if config.redirect_listen.is_none() || public_url.starts_with("https://") {
        return Ok(());
    }
    Err(Error::config(format!(
        "`redirect_listen` redirects to `public_url`, which must be an `https://` URL, not `{public_url}`"
    )))
}

/// Returns the service that redirects to the URL `base`. The status code keeps the method and the body.
pub(super) fn handler(
    base: String,
) -> impl Service<Request<Body>, Response = Response, Error = Infallible, Future: Send> + Clone {
    service_fn(move |request: Request<Body>| ready(Ok(redirect(&base, request.uri()))))
}

/// The target depends on the request's path and query alone: a client can choose the `Host` header.
fn redirect(base: &str, uri: &Uri) -> Response {
    let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    // `OPTIONS *` has no path.
    let path = if path.starts_with('/') { path } else { "/" };
    match HeaderValue::from_str(&format!("{base}{path}")) {
        Ok(target) => {
            (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, target)]).into_response()
        }
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}
