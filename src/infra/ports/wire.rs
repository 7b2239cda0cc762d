//! How a driver speaks HTTP: within limits of time and size, and with nobody but whom it was told to.

use std::{error::Error, time::Duration};

use reqwest::{Client, Response, redirect::Policy};

/// How long it may take to be reached, and for one thing altogether.
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

pub(super) fn client(patience: Timeouts) -> reqwest::Result<Client> {
    Client::builder()
        .connect_timeout(patience.connecting)
        .timeout(patience.whole)
        // A secret goes nowhere but where it was meant to.
        .redirect(Policy::none())
        .build()
}

/// An answer to its end, which comes before so many bytes.
pub(super) async fn whole(mut response: Response, most: usize) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(why)? {
        if body.len() + chunk.len() > most {
            return Err("its answer has no end".to_owned());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Why there is no answer, for an operator; without the URL, and without what was sent.
pub(super) fn why(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "it does not answer in time".to_owned();
    }
    let error = error.without_url();
    let mut cause: &dyn Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    format!("it cannot be reached: {cause}")
}
