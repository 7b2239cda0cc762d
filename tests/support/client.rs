//! An HTTP client of a shop in process, and its responses.

use std::net::{IpAddr, Ipv4Addr};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::BodyExt;
use serde_json::Value;

use super::{Form, TestShop};

/// A client, signed in or not. Paths are below `/api/v1`, unless they start with one of [`OUTSIDE`].
#[derive(Clone)]
pub(crate) struct Client<'a> {
    shop: &'a TestShop,
    pub(crate) token: Option<String>,
    peer: IpAddr,
}

/// Paths outside the API.
const OUTSIDE: [&str; 12] = [
    "/api/",
    "/healthz",
    "/readyz",
    "/openapi.json",
    "/shop-live.js",
    "/problems",
    "/images",
    "/console",
    "/first-admin",
    "/demo",
    "/verify-email",
    "/docs",
];

impl<'a> Client<'a> {
    pub(crate) fn new(shop: &'a TestShop, token: Option<String>) -> Self {
        Client {
            shop,
            token,
            peer: IpAddr::V4(Ipv4Addr::LOCALHOST),
        }
    }

    /// Returns the same client with another IP address.
    pub(crate) fn at(mut self, peer: &str) -> Self {
        self.peer = peer.parse().unwrap();
        self
    }

    pub(crate) async fn get(&self, path: &str) -> TestResponse {
        self.send(self.request(Method::GET, path)).await
    }

    /// Sends a GET request. Returns the response without reading its body.
    pub(crate) async fn begin_get(&self, path: &str) -> axum::response::Response {
        self.shop
            .begin(self.request(Method::GET, path), self.peer)
            .await
    }

    pub(crate) async fn delete(&self, path: &str) -> TestResponse {
        self.send(self.request(Method::DELETE, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> TestResponse {
        self.call(Method::POST, path, &[], body).await
    }

    pub(crate) async fn patch(&self, path: &str, body: Value) -> TestResponse {
        self.call(Method::PATCH, path, &[], body).await
    }

    /// Sends a JSON body with headers; `Value::Null` sends no body.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> TestResponse {
        let bytes = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        let content_type = [("content-type", "application/json")];
        let content_type = if body.is_null() {
            &[][..]
        } else {
            &content_type[..]
        };
        let headers: Vec<_> = content_type.iter().chain(headers).copied().collect();
        self.raw(method, path, &headers, bytes).await
    }

    /// Sends any body.
    pub(crate) async fn raw(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> TestResponse {
        let mut request = self.request(method, path);
        for (name, value) in headers {
            let name: http::HeaderName = name.parse().unwrap();
            request.headers_mut().append(name, value.parse().unwrap());
        }
        *request.body_mut() = Body::from(body.into());
        self.send(request).await
    }

    /// Sends a form.
    pub(crate) async fn upload(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        form: Form,
    ) -> TestResponse {
        let content_type = [("content-type", Form::CONTENT_TYPE)];
        let headers: Vec<_> = content_type.iter().chain(headers).copied().collect();
        self.raw(method, path, &headers, form.body()).await
    }

    fn request(&self, method: Method, path: &str) -> Request<Body> {
        let is_outside = (path == "/" || path.starts_with("/?"))
            || OUTSIDE.iter().any(|start| path.starts_with(start));
        let path = if is_outside {
            path.to_owned()
        } else {
            format!("/api/v1{path}")
        };
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        request.body(Body::empty()).unwrap()
    }

    async fn send(&self, request: Request<Body>) -> TestResponse {
        // Boxed, since the future of the whole service is large.
        Box::pin(self.shop.send(request, self.peer)).await
    }
}

/// Internal details that no error response may contain.
const INTERNALS: [&str; 8] = [
    "SELECT",
    "INSERT",
    "sqlite",
    "/src/",
    ".rs:",
    "panicked",
    "backtrace",
    "0x",
];

/// A response with its body.
#[derive(Debug, Clone)]
pub(crate) struct TestResponse {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl TestResponse {
    /// Reads the body of a response.
    pub(crate) async fn read(response: axum::response::Response) -> TestResponse {
        let (parts, body) = response.into_parts();
        TestResponse {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
    }

    /// Parses the body; `Value::Null` if it is not JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// Returns a product as lists show it.
    pub(crate) fn as_listed(&self) -> Value {
        let mut product = self.json();
        for key in ["variants", "options", "collectionIds"] {
            product.as_object_mut().unwrap().remove(key);
        }
        product
    }

    /// Returns the text at a JSON pointer (RFC 6901).
    pub(crate) fn text(&self, pointer: &str) -> String {
        let json = self.json();
        let found = json.pointer(pointer).and_then(Value::as_str);
        found
            .unwrap_or_else(|| panic!("no text at {pointer} in {json}"))
            .to_owned()
    }

    /// Returns the number at a JSON pointer.
    pub(crate) fn number(&self, pointer: &str) -> i64 {
        let json = self.json();
        let found = json.pointer(pointer).and_then(Value::as_i64);
        found.unwrap_or_else(|| panic!("no number at {pointer} in {json}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Returns the problem code. Fails the test if the response is not a complete problem, or discloses internals.
    #[track_caller]
    pub(crate) fn code(&self) -> String {
        self.code_under("")
    }

    /// Like [`TestResponse::code`], for a shop whose public URL has this path.
    #[track_caller]
    fn code_under(&self, path: &str) -> String {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{self:?}"
        );
        assert_eq!(self.number("/status"), i64::from(self.status));
        assert_eq!(
            self.text("/type"),
            format!("{path}/problems/{}", self.text("/code"))
        );
        assert_eq!(
            Some(self.text("/requestId").as_str()),
            self.header("x-request-id")
        );
        let text = String::from_utf8_lossy(&self.body);
        for word in INTERNALS {
            assert!(!text.contains(word), "{word} in {text}");
        }
        self.text("/code")
    }

    /// Fails the test unless this is a problem with this status and code.
    #[track_caller]
    pub(crate) fn assert_problem(&self, status: u16, code: &str) {
        self.assert_problem_under("", status, code);
    }

    /// Like [`TestResponse::assert_problem`], for a shop whose public URL has this path.
    #[track_caller]
    pub(crate) fn assert_problem_under(&self, path: &str, status: u16, code: &str) {
        assert_eq!(
            (self.status, self.code_under(path).as_str()),
            (status, code),
            "{self:?}"
        );
    }

    /// Returns the fields of the problem's field errors.
    pub(crate) fn invalid_fields(&self) -> Vec<String> {
        let json = self.json();
        let errors = json["errors"].as_array().cloned().unwrap_or_default();
        errors
            .iter()
            .map(|error| error["field"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Fails the test unless this is a `validation-failed` problem for exactly this field.
    #[track_caller]
    pub(crate) fn assert_invalid_field(&self, field: &str) {
        self.assert_problem(422, "validation-failed");
        assert_eq!(self.invalid_fields(), [field], "{self:?}");
    }
}
