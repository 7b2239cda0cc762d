//! The transport of ACME requests (RFC 8555). The protocol itself is in the crate `instant_acme`.

use std::{io, pin::Pin};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use reqwest::Client;

use super::{Timeouts, http_client};
use crate::core::error;

/// The maximum size of a response, in bytes. A certificate chain has a few KiB.
const MAX_RESPONSE: usize = 256 * 1024;

/// Sends ACME requests with the timeouts and limits of the other drivers.
#[derive(Debug, Clone)]
pub struct AcmeTransport(Client);

impl AcmeTransport {
    pub fn new() -> error::Result<AcmeTransport> {
        let client = http_client::client(Timeouts::default());
        client.map(AcmeTransport).map_err(error::Error::internal)
    }
}

impl HttpClient for AcmeTransport {
    fn request(
        &self,
        request: http::Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let client = self.0.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let Ok(body) = body.collect().await;
            let request = client
                .request(parts.method, parts.uri.to_string())
                .headers(parts.headers)
                .body(body.to_bytes());
            let response = request
                .send()
                .await
                .map_err(|e| other(http_client::why(e)))?;
            let (status, headers) = (response.status(), response.headers().clone());
            let body = http_client::read_all(response, MAX_RESPONSE)
                .await
                .map_err(other)?;
            let mut response = http::Response::new(Full::new(Bytes::from(body)));
            *response.status_mut() = status;
            *response.headers_mut() = headers;
            Ok(BytesResponse::from(response))
        })
    }
}

fn other(why: String) -> Error {
    Error::Other(io::Error::other(why).into())
}
