//! Mail that goes nowhere, for tests: it keeps what it was given, and refuses what it is told to.

use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;

use super::{MailMessage, Mailer};
use crate::infra::ports::Refusal;

#[derive(Debug, Default)]
pub struct FakeMailer(Mutex<Inside>);

#[derive(Debug, Default)]
struct Inside {
    taken: Vec<MailMessage>,
    refusal: Option<Refusal>,
    hangs: bool,
    offered: Vec<MailMessage>,
}

impl FakeMailer {
    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was taken so far.
    pub fn letters(&self) -> Vec<MailMessage> {
        self.inside().taken.clone()
    }

    /// What it was asked to send so far, taken or not.
    pub fn offered(&self) -> Vec<MailMessage> {
        self.inside().offered.clone()
    }

    /// Refuses every letter from now on, or takes them again. `{link}` in the reason is the letter's
    /// link, which servers may repeat.
    pub fn refuse(&self, refusal: Option<Refusal>) {
        self.inside().refusal = refusal;
    }

    /// Never answers from now on.
    pub fn hang(&self) {
        self.inside().hangs = true;
    }

    /// How often it was asked to send.
    pub fn asked(&self) -> usize {
        self.inside().offered.len()
    }
}

impl Mailer for FakeMailer {
    fn send<'a>(&'a self, letter: &'a MailMessage) -> BoxFuture<'a, Result<(), Refusal>> {
        let mut inside = self.inside();
        inside.offered.push(letter.clone());
        if inside.hangs {
            return Box::pin(std::future::pending());
        }
        let answer = inside.refusal.clone().map_or(Ok(()), |mut refusal| {
            let link = letter.link.as_deref().unwrap_or_default();
            refusal.why = refusal.why.replace("{link}", link);
            Err(refusal)
        });
        if answer.is_ok() {
            inside.taken.push(letter.clone());
        }
        Box::pin(std::future::ready(answer))
    }

    fn domain(&self) -> String {
        "shop.test".to_owned()
    }
}
