//! A check whose outcome is shared by callers that come close together.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::core::error::{Error, Result};

/// Runs a check at most once in each span of time; callers in between get the last outcome, and
/// callers that come while it runs wait for it.
#[derive(Debug)]
pub struct SharedCheck {
    valid_for: Duration,
    last: Mutex<Option<(Instant, Result<(), Error>)>>,
}

impl SharedCheck {
    pub fn new(valid_for: Duration) -> SharedCheck {
        SharedCheck {
            valid_for,
            last: Mutex::default(),
        }
    }

    /// Returns the last outcome if it is fresh, else that of `check`.
    pub async fn run(&self, check: impl Future<Output = Result<()>>) -> Result<()> {
        let mut last = self.last.lock().await;
        let outcome = match &*last {
            Some((at, outcome)) if at.elapsed() < self.valid_for => outcome,
            _ => {
                let outcome = check.await;
                &last.insert((Instant::now(), outcome)).1
            }
        };
        outcome.as_ref().copied().map_err(Error::retold)
    }
}
