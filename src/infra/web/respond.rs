//! Builds responses from results. Only this file maps kinds of errors to status codes.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::core::{
    error::{Error, Field, Kind, Result},
    pagination::{List, Page},
};

/// The live inventory event up to which the product in a response is current, or newer.
pub const INVENTORY_SEQ: HeaderName = HeaderName::from_static("x-inventory-seq");

/// The body of an error response, `application/problem+json` (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem<'a> {
    /// The URL of the page that explains the code.
    #[serde(rename = "type")]
    pub kind: String,
    pub title: &'a str,
    pub status: u16,
    /// What went wrong in this request and how to resolve it.
    pub detail: &'a str,
    /// A stable, machine-readable code; `/problems/{code}` explains it.
    pub code: &'a str,
    pub request_id: &'a str,
    /// The errors of single fields or line items.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(required = false)]
    pub errors: &'a [Field],
}

/// Returns the status code of a kind.
pub fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::MalformedJson | Kind::InvalidQuery | Kind::InvalidHeader | Kind::BadRequest(_) => {
            StatusCode::BAD_REQUEST
        }
        Kind::Unauthorized(_) => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Kind::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        Kind::Conflict(_) => StatusCode::CONFLICT,
        Kind::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
        Kind::PreconditionRequired => StatusCode::PRECONDITION_REQUIRED,
        Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::UnsupportedMediaType | Kind::UnsupportedContentEncoding => {
            StatusCode::UNSUPPORTED_MEDIA_TYPE
        }
        Kind::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::TooManyRequests { .. } => StatusCode::TOO_MANY_REQUESTS,
        Kind::Internal | Kind::Config | Kind::CommandFailed => StatusCode::INTERNAL_SERVER_ERROR,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
    }
}

/// The error of a failed response. The middleware takes it out and writes the problem with the request id.
#[derive(Clone)]
pub struct ResponseError(pub Arc<Error>);

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
            Kind::UnsupportedContentEncoding => {
                let identity = HeaderValue::from_static("identity");
                headers.insert(header::ACCEPT_ENCODING, identity);
            }
            Kind::RequestTimeout => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response
            .extensions_mut()
            .insert(ResponseError(Arc::new(self)));
        response
    }
}

/// Returns a number as a header value.
pub fn number(value: i64) -> HeaderValue {
    HeaderValue::from(value)
}

/// Serialises `value` as JSON.
pub fn to_json(value: &impl Serialize) -> Result<Bytes> {
    let mut body = Vec::with_capacity(1024);
    serde_json::to_writer(&mut body, value).map_err(Error::internal)?;
    Ok(body.into())
}

/// A response whose body is serialised JSON.
pub fn json_bytes(status: StatusCode, body: Bytes) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

/// A 200 response with a JSON body.
pub fn ok(value: &impl Serialize) -> Result<Response> {
    Ok(json_bytes(StatusCode::OK, to_json(value)?))
}

/// A response with this status and a JSON body.
pub fn json(status: StatusCode, value: &impl Serialize) -> Result<Response> {
    Ok(json_bytes(status, to_json(value)?))
}

/// The rows of a page, serialised one by one as they are read, which saves a copy of each.
#[derive(Debug)]
pub struct SerializedRows(Vec<u8>);

/// Every page begins with this text.
const PAGE_START: &[u8] = b"{\"data\":[";

/// The initial capacity, in bytes: about twenty products.
const PAGE_CAPACITY: usize = 16 * 1024;

impl SerializedRows {
    #[expect(
        clippy::new_without_default,
        reason = "created in one place, for one page"
    )]
    pub fn new() -> Self {
        let mut body = Vec::with_capacity(PAGE_CAPACITY);
        body.extend_from_slice(PAGE_START);
        SerializedRows(body)
    }

    pub fn push(&mut self, row: &impl Serialize) -> Result<()> {
        self.separate();
        serde_json::to_writer(&mut self.0, row).map_err(Error::internal)
    }

    /// Adds a row that is already serialised.
    pub fn push_json(&mut self, row: &[u8]) {
        self.separate();
        self.0.extend_from_slice(row);
    }

    fn separate(&mut self) {
        if self.0.len() > PAGE_START.len() {
            self.0.push(b',');
        }
    }

    /// Joins the rows and the other fields of their page. `head` is serialised with an empty `data` in front.
    pub fn into_page(self, head: &impl Serialize) -> Result<Bytes> {
        let SerializedRows(mut body) = self;
        body.extend_from_slice(&to_json(head)?[PAGE_START.len()..]);
        Ok(body.into())
    }
}

/// A page with its `Link` header (RFC 8288). `query` is that of the request.
pub fn page<T: Serialize>(path: &str, query: Option<&str>, page: &Page<T>) -> Result<Response> {
    let mut response = ok(page)?;
    if let Some(link) = link(path, query, page) {
        response.headers_mut().insert(header::LINK, link);
    }
    Ok(response)
}

/// A page with its `Link` header, or a cursor page.
pub fn list<T: Serialize>(path: &str, query: Option<&str>, list: &List<T>) -> Result<Response> {
    match list {
        List::Page(numbered) => page(path, query, numbered),
        List::CursorPage(cursor_page) => ok(cursor_page),
    }
}

/// The maximum length of a `Link` header, in bytes. nginx accepts 4 KiB for all headers of a response
/// (<https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_buffer_size>).
const MAX_LINK_LEN: usize = 2048;

/// The maximum length of one link without its path and query.
const LINK_OVERHEAD: usize = 48;

/// Returns the `Link` header of a page. `query` is that of the request.
pub fn link<T>(path: &str, query: Option<&str>, page: &Page<T>) -> Option<HeaderValue> {
    // If the total is capped, the last page is unknown.
    let last = (!page.total_is_capped).then_some(page.total_pages.max(1));
    let has_next = last.is_none_or(|last| page.page < last);
    let previous = page.page - 1;
    let links = [
        Some(("first", 1)),
        last.map(|last| ("last", last)),
        (previous > 0).then(|| ("prev", last.map_or(previous, |last| last.min(previous)))),
        has_next.then_some(("next", page.page + 1)),
    ];
    let other_parameters: String = query
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.starts_with("page="))
        .flat_map(|pair| [pair, "&"])
        .collect();
    // If not all of them fit, the last ones are the most useful.
    let links: Vec<_> = links.into_iter().flatten().collect();
    let max_links = MAX_LINK_LEN / (path.len() + other_parameters.len() + LINK_OVERHEAD);
    let mut text = String::with_capacity(MAX_LINK_LEN / 4);
    for (rel, number) in &links[links.len().saturating_sub(max_links)..] {
        let comma = if text.is_empty() { "" } else { ", " };
        let number = number.to_string();
        text.extend([
            comma,
            "<",
            path,
            "?",
            &other_parameters,
            "page=",
            &number,
            ">; rel=\"",
            rel,
            "\"",
        ]);
    }
    if text.is_empty() {
        return None;
    }
    HeaderValue::from_str(&text).ok()
}

/// Returns a strong entity tag: a digest of the whole representation (RFC 9110, section 8.8.3).
pub fn etag(body: &[u8]) -> String {
    let digest = Sha256::digest(body);
    format!("\"{}\"", BASE64_URL_SAFE_NO_PAD.encode(&digest[..16]))
}

/// Adds a header with a value that is known to be valid.
pub fn with_header(mut response: Response, name: HeaderName, value: &str) -> Result<Response> {
    let value = HeaderValue::from_str(value).map_err(Error::internal)?;
    response.headers_mut().insert(name, value);
    Ok(response)
}
