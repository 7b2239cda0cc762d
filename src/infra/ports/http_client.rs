//! The HTTP client of the drivers: with timeouts, limits for response sizes, and no redirects.

use std::time::Duration;

use reqwest::{Client, Response, redirect::Policy};

use crate::core::error::root_cause;

/// The timeouts of a driver: for connecting, and for a whole request.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    pub connecting: Duration,
    pub whole: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            connecting: Duration::from_secs(5),
            whole: Duration::from_secs(30),
        }
    }
}

pub(super) fn client(timeouts: Timeouts) -> reqwest::Result<Client> {
    Client::builder()
        .connect_timeout(timeouts.connecting)
        .timeout(timeouts.whole)
        // A redirect could send credentials to another host.
        .redirect(Policy::none())
        .build()
}

/// Reads a whole response body of at most `limit` bytes.
pub(super) async fn read_all(mut response: Response, limit: usize) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(why)? {
        if body.len() + chunk.len() > limit {
            return Err(format!("the response is larger than {limit} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Describes a failed request for the operator, without the URL and the data that was sent.
pub(super) fn why(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "the service did not respond in time".to_owned();
    }
    let error = error.without_url();
    format!("the service cannot be reached: {}", root_cause(&error))
}
