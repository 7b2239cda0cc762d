//! A mailer for tests: records emails in memory, and fails or hangs on request.

use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures_util::future::BoxFuture;

use super::{MailMessage, Mailer, SentCopy};
use crate::{core::id::MailId, infra::ports::Refusal};

#[derive(Debug, Default)]
pub struct FakeMailer(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    sent: Vec<MailMessage>,
    refusal: Option<Refusal>,
    hangs: bool,
    /// Also those that failed.
    attempted: Vec<MailMessage>,
}

impl FakeMailer {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the emails that were sent.
    pub fn sent(&self) -> Vec<MailMessage> {
        self.state().sent.clone()
    }

    /// Returns every email passed to `send`, also those that failed.
    pub fn attempted(&self) -> Vec<MailMessage> {
        self.state().attempted.clone()
    }

    /// Fails every `send` from now on, or with `None` none. `{link}` in the reason is replaced by the email's link,
    /// since a server may quote it.
    pub fn refuse(&self, refusal: Option<Refusal>) {
        self.state().refusal = refusal;
    }

    /// Makes every `send` hang from now on.
    pub fn hang(&self) {
        self.state().hangs = true;
    }

    /// Returns how often `send` was called.
    pub fn call_count(&self) -> usize {
        self.state().attempted.len()
    }
}

impl Mailer for FakeMailer {
    fn send<'a>(&'a self, mail: &'a MailMessage) -> BoxFuture<'a, Result<(), Refusal>> {
        let mut state = self.state();
        state.attempted.push(mail.clone());
        if state.hangs {
            return Box::pin(std::future::pending());
        }
        let result = state.refusal.clone().map_or(Ok(()), |mut refusal| {
            let link = mail.link.as_deref().unwrap_or_default();
            refusal.why = refusal.why.replace("{link}", link);
            Err(refusal)
        });
        if result.is_ok() {
            state.sent.push(mail.clone());
        }
        Box::pin(std::future::ready(result))
    }

    fn check(&self) -> BoxFuture<'_, Result<(), Refusal>> {
        let refusal = self.state().refusal.clone();
        Box::pin(std::future::ready(refusal.map_or(Ok(()), Err)))
    }

    fn sent_copy(&self, id: MailId) -> BoxFuture<'_, io::Result<Option<SentCopy>>> {
        let message_id = format!("{id}@{}", self.domain());
        let mut sent = self.sent().into_iter();
        let found = sent.rfind(|mail| mail.message_id == message_id);
        let copy = found.map(|MailMessage { text, html, .. }| SentCopy { text, html });
        Box::pin(std::future::ready(Ok(copy)))
    }

    fn domain(&self) -> String {
        "shop.test".to_owned()
    }
}
