//! A check whose result concurrent callers share.

use std::{sync::Arc, time::Duration};

use moka::future::Cache;

use crate::core::error::{Error, Result};

/// Runs a check at most once per `valid_for` and caches its result, an error as well. Callers that arrive while
/// it runs wait for the same result.
#[derive(Debug)]
pub struct SharedCheck(Cache<(), Result<(), Arc<Error>>>);

impl SharedCheck {
    pub fn new(valid_for: Duration) -> SharedCheck {
        SharedCheck(Cache::builder().time_to_live(valid_for).build())
    }

    /// Returns the cached result if it is still valid, else runs `check`.
    pub async fn run(&self, check: impl Future<Output = Result<()>>) -> Result<()> {
        let check = async { check.await.map_err(Arc::new) };
        let result = self.0.get_with((), check).await;
        result.map_err(|error| error.without_source())
    }
}
