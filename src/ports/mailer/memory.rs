//! Mail that goes nowhere, for tests: it keeps what it was given, and refuses what it is told to.

use std::sync::{Mutex, PoisonError};

use futures_util::future::BoxFuture;

use super::{Letter, Mailer, Refusal};

#[derive(Debug, Default)]
pub struct Memory {
    taken: Mutex<Vec<Letter>>,
    refusal: Mutex<Option<Refusal>>,
}

impl Memory {
    /// What was taken so far.
    pub fn letters(&self) -> Vec<Letter> {
        self.taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Refuses every letter from now on, or takes them again.
    pub fn refuse(&self, refusal: Option<Refusal>) {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = refusal;
    }
}

impl Mailer for Memory {
    fn send<'a>(&'a self, letter: &'a Letter) -> BoxFuture<'a, Result<(), Refusal>> {
        let refusal = self.refusal.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(refusal) = refusal.clone() {
            return Box::pin(std::future::ready(Err(refusal)));
        }
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.push(letter.clone());
        Box::pin(std::future::ready(Ok(())))
    }

    fn domain(&self) -> String {
        "shop.test".to_owned()
    }
}
