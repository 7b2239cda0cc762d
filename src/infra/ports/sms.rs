//! Text messages. A real provider would be one more implementation of [`Sms`].

use std::{
    collections::VecDeque,
    io::{self, Write},
    sync::{Mutex, PoisonError},
};

use futures_util::future::BoxFuture;
use serde_json::json;

use crate::{
    core::error::{Error, Result},
    infra::config::LogFormat,
};

/// Sends text messages.
pub trait Sms: Send + Sync {
    /// Sends `text` to a phone number in E.164 format.
    ///
    /// Errors: `Unavailable`.
    fn send<'a>(&'a self, to: &'a str, text: &'a str) -> BoxFuture<'a, Result<()>>;
}

/// Writes messages to stderr, for development. It ignores the log level: otherwise a developer could not verify a
/// phone.
#[derive(Debug)]
pub struct Console {
    /// The format of the log, among whose lines the messages are.
    pub format: LogFormat,
}

impl Sms for Console {
    fn send<'a>(&'a self, to: &'a str, text: &'a str) -> BoxFuture<'a, Result<()>> {
        let message = format!("[sms] to {to}: {text}");
        let line = match self.format {
            LogFormat::Text => message,
            LogFormat::Json => {
                let fields = json!({ "message": message });
                json!({ "level": "INFO", "fields": fields, "target": "shop::sms" }).to_string()
            }
        };
        let result = writeln!(io::stderr(), "{line}");
        let result = result.map_err(|error| {
            Error::unavailable("text messages are written to stderr, which is closed")
                .caused_by(error)
        });
        Box::pin(std::future::ready(result))
    }
}

/// Stores messages in memory, for tests.
#[derive(Debug, Default)]
pub struct FakeSms(Mutex<VecDeque<(String, String)>>);

impl FakeSms {
    /// Removes and returns the oldest message: the recipient and the text.
    pub fn read(&self) -> Option<(String, String)> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front()
    }
}

impl Sms for FakeSms {
    fn send<'a>(&'a self, to: &'a str, text: &'a str) -> BoxFuture<'a, Result<()>> {
        let mut messages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        messages.push_back((to.to_owned(), text.to_owned()));
        Box::pin(std::future::ready(Ok(())))
    }
}
