//! From results to responses. This file alone knows which status a kind of error has.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::problems;
use crate::core::{
    error::{Error, Field, Kind, Result},
    pagination::{CursorPage, List, Page},
};

/// The position of the live inventory up to which a product's answer is true, at least.
pub const INVENTORY_SEQ: HeaderName = HeaderName::from_static("x-inventory-seq");

/// An error's body, `application/problem+json` (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem<'a> {
    /// Where the code is explained.
    #[serde(rename = "type")]
    pub kind: String,
    pub title: &'a str,
    pub status: u16,
    /// What happened this time and what to do.
    pub detail: &'a str,
    #[schema(schema_with = problems::code_schema)]
    pub code: &'a str,
    pub request_id: &'a str,
    /// The causes that belong to fields or lines.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(required = false)]
    pub errors: &'a [Field],
}

/// The stable code of a kind.
pub fn code(kind: Kind) -> &'static str {
    match kind {
        Kind::MalformedJson => "malformed-json",
        Kind::InvalidQuery => "invalid-query",
        Kind::InvalidHeader => "invalid-header",
        Kind::Refused(code)
        | Kind::Unauthorized(code)
        | Kind::Conflict(code)
        | Kind::Invalid(code) => code,
        Kind::Forbidden => "forbidden",
        Kind::NotFound => "not-found",
        Kind::TooSlow => "request-timeout",
        Kind::PreconditionFailed => "precondition-failed",
        Kind::PreconditionRequired => "precondition-required",
        Kind::TooLarge => "payload-too-large",
        Kind::UnsupportedMediaType | Kind::UnsupportedCoding => "unsupported-media-type",
        Kind::TooManyRequests { .. } => "too-many-requests",
        // A shop that is served has settings that work.
        Kind::Internal | Kind::Config => "internal",
        Kind::Unavailable => "unavailable",
        Kind::StorageFull => "storage-full",
    }
}

/// The problem of a kind. A code may stand for more than one status.
pub fn problem(kind: Kind) -> Option<&'static problems::Problem> {
    let code = code(kind);
    problems::ALL.iter().find(|problem| {
        problem.code == code
            && match kind {
                Kind::Refused(_) => problem.status == 400,
                Kind::Unauthorized(_) => problem.status == 401,
                _ => true,
            }
    })
}

fn status(kind: Kind) -> StatusCode {
    problem(kind)
        .and_then(|problem| StatusCode::from_u16(problem.status).ok())
        .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// The error inside its response, until the edge writes it out with the request's id.
#[derive(Clone)]
pub struct Failure(pub Arc<Error>);

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = status(self.kind()).into_response();
        let headers = response.headers_mut();
        match self.kind() {
            Kind::Unauthorized(_) => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Kind::Unavailable => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Kind::TooManyRequests { retry_after } => {
                let seconds = retry_after.as_millis().div_ceil(1000).max(1);
                headers.insert(
                    header::RETRY_AFTER,
                    number(i64::try_from(seconds).unwrap_or(60)),
                );
            }
            // RFC 9110, section 15.5.16.
            Kind::UnsupportedCoding => {
                let identity = HeaderValue::from_static("identity");
                headers.insert(header::ACCEPT_ENCODING, identity);
            }
            Kind::TooSlow => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response.extensions_mut().insert(Failure(Arc::new(self)));
        response
    }
}

/// A header's value from a number.
pub fn number(value: i64) -> HeaderValue {
    HeaderValue::from(value)
}

/// `value` as JSON.
pub fn to_json(value: &impl Serialize) -> Result<Bytes> {
    let mut body = Vec::with_capacity(1024);
    serde_json::to_writer(&mut body, value).map_err(Error::internal)?;
    Ok(body.into())
}

/// A response with a JSON body that is already written.
pub fn json_bytes(status: StatusCode, body: Bytes) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

/// 200 with a JSON body.
pub fn ok(value: &impl Serialize) -> Result<Response> {
    Ok(json_bytes(StatusCode::OK, to_json(value)?))
}

/// Any status with a JSON body.
pub fn json(status: StatusCode, value: &impl Serialize) -> Result<Response> {
    Ok(json_bytes(status, to_json(value)?))
}

/// The rows of a page, written as they are read.
#[derive(Debug)]
pub struct WrittenRows(Vec<u8>);

/// How every page begins.
const OPENING: &[u8] = b"{\"data\":[";

/// Twenty products fill about so many bytes.
const USUAL_PAGE: usize = 16 * 1024;

impl WrittenRows {
    #[expect(
        clippy::new_without_default,
        reason = "made in one place, for one page"
    )]
    pub fn new() -> Self {
        let mut text = Vec::with_capacity(USUAL_PAGE);
        text.extend_from_slice(OPENING);
        WrittenRows(text)
    }

    pub fn push(&mut self, row: &impl Serialize) -> Result<()> {
        if self.0.len() > OPENING.len() {
            self.0.push(b',');
        }
        serde_json::to_writer(&mut self.0, row).map_err(Error::internal)
    }
}

/// As [`page`], with rows that are written already; `head` has none of its own.
pub fn written_page(
    path: &str,
    query: Option<&str>,
    head: &Page<()>,
    rows: WrittenRows,
) -> Result<Response> {
    let response = written(head, rows)?;
    Ok(with_links(response, path, query, head))
}

/// The rows of a walk, written already, and where it goes on; `head` has no rows of its own.
pub fn written_stretch(head: &CursorPage<()>, rows: WrittenRows) -> Result<Response> {
    written(head, rows)
}

/// Both begin with their rows.
fn written(head: &impl Serialize, rows: WrittenRows) -> Result<Response> {
    let WrittenRows(mut body) = rows;
    body.extend_from_slice(&to_json(head)?[OPENING.len()..]);
    Ok(json_bytes(StatusCode::OK, body.into()))
}

/// A page of a list with its `Link` header (RFC 8288); `query` is the request's own.
pub fn page<T: Serialize>(path: &str, query: Option<&str>, page: &Page<T>) -> Result<Response> {
    Ok(with_links(ok(page)?, path, query, page))
}

/// A page with its `Link` header, or a stretch of a walk.
pub fn list<T: Serialize>(path: &str, query: Option<&str>, listing: &List<T>) -> Result<Response> {
    match listing {
        List::Page(own) => page(path, query, own),
        List::CursorPage(stretch) => ok(stretch),
    }
}

/// How long a `Link` header may be, in bytes. nginx takes 4 KiB for all headers of a response together
/// (<https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_buffer_size>).
const LINK_LIMIT: usize = 2048;

/// What one link takes beside its path and query, at most.
const LINK_OVERHEAD: usize = 48;

fn with_links<T>(
    mut response: Response,
    path: &str,
    query: Option<&str>,
    page: &Page<T>,
) -> Response {
    // Where counting stopped, the number of the last page is unknown.
    let last = (!page.total_is_capped).then_some(page.total_pages.max(1));
    let has_next = last.is_none_or(|last| page.page < last);
    let before = page.page - 1;
    let links = [
        Some(("first", 1)),
        last.map(|last| ("last", last)),
        (before > 0).then(|| ("prev", last.map_or(before, |last| last.min(before)))),
        has_next.then_some(("next", page.page + 1)),
    ];
    let kept: String = query
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.starts_with("page="))
        .flat_map(|pair| [pair, "&"])
        .collect();
    // Where not all fit, the last ones are the most useful.
    let links: Vec<_> = links.into_iter().flatten().collect();
    let most = LINK_LIMIT / (path.len() + kept.len() + LINK_OVERHEAD);
    let mut text = String::with_capacity(LINK_LIMIT / 4);
    for (rel, number) in &links[links.len().saturating_sub(most)..] {
        let comma = if text.is_empty() { "" } else { ", " };
        let number = number.to_string();
        text.extend([
            comma,
            "<",
            path,
            "?",
            &kept,
            "page=",
            &number,
            ">; rel=\"",
            rel,
            "\"",
        ]);
    }
    if !text.is_empty()
        && let Ok(value) = HeaderValue::from_str(&text)
    {
        response.headers_mut().insert(header::LINK, value);
    }
    response
}

/// A strong entity tag over the whole representation (RFC 9110, section 8.8.3).
pub fn etag(body: &[u8]) -> String {
    let digest = Sha256::digest(body);
    format!("\"{}\"", BASE64_URL_SAFE_NO_PAD.encode(&digest[..16]))
}

/// Adds a header whose text is known to be fit for one.
pub fn with_header(mut response: Response, name: HeaderName, value: &str) -> Result<Response> {
    let value = HeaderValue::from_str(value).map_err(Error::internal)?;
    response.headers_mut().insert(name, value);
    Ok(response)
}
