//! A check whose result concurrent callers share.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::core::error::{Error, Result};

/// Runs a check at most once per `valid_for` and caches its result. Callers that arrive while it runs wait for
/// the same result.
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

    /// Returns the cached result if it is still valid, else runs `check`.
    pub async fn run(&self, check: impl Future<Output = Result<()>>) -> Result<()> {
        let mut last = self.last.lock().await;
        let result = match &*last {
            Some((at, result)) if at.elapsed() < self.valid_for => result,
            _ => {
                let result = check.await;
                &last.insert((Instant::now(), result)).1
            }
        };
        result.as_ref().copied().map_err(Error::without_source)
    }
}
