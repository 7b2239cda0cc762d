//! Somebody who speaks to the real program across a real socket.

use std::net::IpAddr;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use super::{Answer, Process};

const PASSWORD: &str = "correct horse battery";

/// As [`super::Client`], across the network; it may find nobody there.
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

    /// A client of the shop with this public URL.
    pub(crate) fn to(url: &str) -> Remote {
        Remote {
            http: reqwest::Client::new(),
            url: url.to_owned(),
            token: None,
        }
    }

    /// A client with another address of this machine.
    pub(crate) fn from(process: &Process, source: IpAddr) -> Remote {
        Remote::new(process).at_address(source)
    }

    /// The same somebody, at another address of this machine.
    pub(crate) fn at_address(&self, source: IpAddr) -> Remote {
        let http = reqwest::Client::builder().local_address(source);
        Remote {
            http: http.build().unwrap(),
            ..self.clone()
        }
    }

    /// Somebody with this token.
    pub(crate) fn with_token(&self, token: String) -> Remote {
        Remote {
            token: Some(token),
            ..self.clone()
        }
    }

    /// The same somebody, after the program was started anew.
    pub(crate) fn at(&self, process: &Process) -> Remote {
        Remote {
            token: self.token.clone(),
            ..Remote::new(process)
        }
    }

    /// Makes an account and signs in.
    pub(crate) async fn registered(&self, name: &str) -> Remote {
        let email = format!("{name}@example.com");
        let account = json!({ "email": email, "password": PASSWORD, "name": name });
        let made = self.post("/auth/register", &account).await;
        assert_eq!(made.status, 201, "{made:?}");
        self.signed_in(name).await
    }

    /// Signs in to an account that is there.
    pub(crate) async fn signed_in(&self, name: &str) -> Remote {
        let email = format!("{name}@example.com");
        let session = json!({ "email": email, "password": PASSWORD });
        let signed_in = self.post("/auth/login", &session).await;
        assert_eq!(signed_in.status, 200, "{signed_in:?}");
        self.with_token(signed_in.text("/accessToken"))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, &[], Bytes::new())
            .await
            .unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.try_post(path, body).await.unwrap()
    }

    pub(crate) async fn try_post(&self, path: &str, body: &Value) -> reqwest::Result<Answer> {
        let headers = [("content-type", "application/json")];
        self.call(Method::POST, path, &headers, body.to_string())
            .await
    }

    /// Orders what is in the cart, under an `Idempotency-Key`.
    pub(crate) async fn check_out_once(&self, key: &str) -> reqwest::Result<Answer> {
        let headers = [("idempotency-key", key)];
        self.call(Method::POST, "/orders", &headers, Bytes::new())
            .await
    }

    /// One call; an error is that of the connection.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> reqwest::Result<Answer> {
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
        Ok(Answer {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes().await?,
        })
    }
}
