//! An HTTP client for the real program.

use std::net::IpAddr;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use super::{Process, TestResponse};

const PASSWORD: &str = "correct horse battery";

/// Like [`super::Client`], but over the network, so a connection may fail.
#[derive(Clone)]
pub(crate) struct Remote {
    http: reqwest::Client,
    url: String,
    pub(crate) token: Option<String>,
}

impl Remote {
    pub(crate) fn new(process: &Process) -> Remote {
        Remote::to(&process.url)
    }

    /// Returns a client of the shop with this public URL.
    pub(crate) fn to(url: &str) -> Remote {
        Remote {
            http: reqwest::Client::new(),
            url: url.to_owned(),
            token: None,
        }
    }

    /// Returns a client that uses these connections, e.g. with TLS.
    pub(crate) fn with_http(process: &Process, http: reqwest::Client) -> Remote {
        Remote {
            http,
            ..Remote::new(process)
        }
    }

    /// Returns a client that connects from another local address.
    pub(crate) fn from(process: &Process, source: IpAddr) -> Remote {
        Remote::new(process).at_address(source)
    }

    /// Returns the same client at another local address.
    pub(crate) fn at_address(&self, source: IpAddr) -> Remote {
        let http = reqwest::Client::builder().local_address(source);
        Remote {
            http: http.build().unwrap(),
            ..self.clone()
        }
    }

    /// Returns the same client with this access token.
    pub(crate) fn with_token(&self, token: String) -> Remote {
        Remote {
            token: Some(token),
            ..self.clone()
        }
    }

    /// Returns the same client for a restarted program.
    pub(crate) fn at(&self, process: &Process) -> Remote {
        Remote {
            token: self.token.clone(),
            ..Remote::new(process)
        }
    }

    /// Registers an account and signs in.
    pub(crate) async fn registered(&self, name: &str) -> Remote {
        let email = format!("{name}@example.com");
        let account = json!({ "email": email, "password": PASSWORD, "name": name });
        let made = self.post("/auth/register", &account).await;
        assert_eq!(made.status, 201, "{made:?}");
        self.signed_in(name).await
    }

    /// Signs in to an existing account.
    pub(crate) async fn signed_in(&self, name: &str) -> Remote {
        let email = format!("{name}@example.com");
        let session = json!({ "email": email, "password": PASSWORD });
        let signed_in = self.post("/auth/login", &session).await;
        assert_eq!(signed_in.status, 200, "{signed_in:?}");
        self.with_token(signed_in.text("/accessToken"))
    }

    pub(crate) async fn get(&self, path: &str) -> TestResponse {
        self.call(Method::GET, path, &[], Bytes::new())
            .await
            .unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> TestResponse {
        self.try_post(path, body).await.unwrap()
    }

    pub(crate) async fn try_post(&self, path: &str, body: &Value) -> reqwest::Result<TestResponse> {
        let headers = [("content-type", "application/json")];
        self.call(Method::POST, path, &headers, body.to_string())
            .await
    }

    /// Places an order from the cart, with an `Idempotency-Key`.
    pub(crate) async fn check_out_once(&self, key: &str) -> reqwest::Result<TestResponse> {
        let headers = [("idempotency-key", key)];
        self.call(Method::POST, "/orders", &headers, Bytes::new())
            .await
    }

    /// Returns the response of `/readyz`, which has the checks if this is an admin.
    pub(crate) async fn readiness(&self) -> Value {
        let mut request = self.http.get(format!("{}/readyz", self.url));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let body = request.send().await.unwrap().bytes().await.unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    /// Sends a request. Errors: the connection failed.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> reqwest::Result<TestResponse> {
        let mut request = self
            .http
            .request(method, format!("{}/api/v1{path}", self.url))
            .body(body.into());
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await?;
        Ok(TestResponse {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes().await?,
        })
    }
}
