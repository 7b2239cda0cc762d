//! The API reference at `/docs`: an embedded viewer of `/openapi.json`. `assets/docs/README.md` says where its files
//! come from.

use std::{
    io::{self, Read},
    sync::{Arc, LazyLock},
};

use axum::{
    Router,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use bytes::Bytes;
use flate2::read::GzDecoder;
use http::{HeaderMap, HeaderValue, header};

use super::pages::{asset, html};
use crate::{
    app::App,
    core::error::{Error, Result},
    infra::web::extract::NoQuery,
};

pub(super) fn routes() -> Router<Arc<App>> {
    const PAGE: &str = include_str!("../../assets/docs/index.html");
    const STYLE: &str = include_str!("../../assets/docs/docs.css");
    const SCRIPT: &str = include_str!("../../assets/docs/docs.js");
    // The viewer's style has its icons as `data:` URLs. An image in a response is shown from a `blob:` URL.
    const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
        img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
        frame-ancestors 'none'";
    Router::new()
        .route("/docs", get(|_: NoQuery| async { html(PAGE, POLICY) }))
        // The page's URLs are relative.
        .route("/docs/", get(|| async { Redirect::permanent("/docs") }))
        .route(
            "/docs/docs.css",
            get(|| async { asset(STYLE, "text/css; charset=utf-8") }),
        )
        .route(
            "/docs/docs.js",
            get(|| async { asset(SCRIPT, "text/javascript; charset=utf-8") }),
        )
        .route("/docs/swagger-ui.css", get(viewer_style))
        .route("/docs/swagger-ui-bundle.js", get(viewer_script))
}

async fn viewer_style(headers: HeaderMap) -> Result<Response> {
    static STYLE: CompressedFile = CompressedFile {
        content_type: HeaderValue::from_static("text/css; charset=utf-8"),
        compressed: include_bytes!("../../assets/docs/swagger-ui.css.gz"),
        plain: LazyLock::new(|| decompress(STYLE.compressed)),
    };
    STYLE.response(&headers)
}

async fn viewer_script(headers: HeaderMap) -> Result<Response> {
    static SCRIPT: CompressedFile = CompressedFile {
        content_type: HeaderValue::from_static("text/javascript; charset=utf-8"),
        compressed: include_bytes!("../../assets/docs/swagger-ui-bundle.js.gz"),
        plain: LazyLock::new(|| decompress(SCRIPT.compressed)),
    };
    SCRIPT.response(&headers)
}

/// A file that is embedded as gzip.
struct CompressedFile {
    content_type: HeaderValue,
    compressed: &'static [u8],
    /// For the rare client that does not accept gzip.
    plain: LazyLock<io::Result<Bytes>>,
}

fn decompress(compressed: &[u8]) -> io::Result<Bytes> {
    let mut plain = Vec::new();
    GzDecoder::new(compressed).read_to_end(&mut plain)?;
    Ok(plain.into())
}

impl CompressedFile {
    fn response(&'static self, request: &HeaderMap) -> Result<Response> {
        let mut response = if accepts_gzip(request) {
            let gzip = HeaderValue::from_static("gzip");
            ([(header::CONTENT_ENCODING, gzip)], self.compressed).into_response()
        } else {
            let plain = self.plain.as_ref();
            plain
                .map_err(|_| Error::internal("cannot decompress an embedded file"))?
                .clone()
                .into_response()
        };
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, self.content_type.clone());
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        headers.insert(
            header::CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=3600"),
        );
        Ok(response)
    }
}

/// Returns whether `Accept-Encoding` names gzip without excluding it (RFC 9110, section 12.5.3).
fn accepts_gzip(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| {
            let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
            let weight = weight.trim().trim_start_matches("q=");
            name.trim().eq_ignore_ascii_case("gzip")
                && !weight.parse().is_ok_and(|weight: f32| weight <= 0.0)
        })
}
