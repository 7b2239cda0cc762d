//! Short messages to phones. A real provider is one more file here with another `Sms` in it.

use std::{
    collections::VecDeque,
    io::{self, Write},
    sync::{Mutex, PoisonError},
};

use futures_util::future::BoxFuture;

use crate::core::error::{Error, Result};

/// Sends short messages.
pub trait Sms: Send + Sync {
    /// Sends `text` to a number in E.164.
    fn send<'a>(&'a self, to: &'a str, text: &'a str) -> BoxFuture<'a, Result<()>>;
}

/// Writes messages to stderr, for development: whatever the log's level, since nobody could verify a
/// phone otherwise.
#[derive(Debug)]
pub struct Console;

impl Sms for Console {
    fn send<'a>(&'a self, to: &'a str, text: &'a str) -> BoxFuture<'a, Result<()>> {
        let written = writeln!(io::stderr(), "[sms] to {to}: {text}");
        let sent = written.map_err(|error| {
            Error::unavailable("short messages go to stderr, which is closed").caused_by(error)
        });
        Box::pin(std::future::ready(sent))
    }
}

/// Keeps messages, for tests.
#[derive(Debug, Default)]
pub struct FakeSms(Mutex<VecDeque<(String, String)>>);

impl FakeSms {
    /// The oldest message that was not read yet: to whom, and its text.
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
