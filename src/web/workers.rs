//! A bounded number of threads for work that keeps a processor busy, so that the rest stays fast.

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;

use crate::error::{Error, Result};

/// How long a caller waits for a place before it is turned away.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone)]
pub struct Workers {
    places: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    most: usize,
}

impl Workers {
    /// At most `running` at once, and as many as `waiting` in line.
    pub fn new(running: usize, waiting: usize) -> Workers {
        Workers {
            places: Arc::new(Semaphore::new(running)),
            waiting: Arc::new(Semaphore::new(running + waiting)),
            most: running + waiting,
        }
    }

    /// How many run or wait in line.
    pub fn busy(&self) -> usize {
        self.most - self.waiting.available_permits()
    }

    /// Runs `work` off the request's thread; unavailable if too many wait already.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let full = || Error::unavailable("too many such requests at once; try again");
        let _in_line = self.waiting.try_acquire().map_err(|_| full())?;
        let place = tokio::time::timeout(PATIENCE, Arc::clone(&self.places).acquire_owned())
            .await
            .map_err(|_| full())?
            .map_err(Error::internal)?;
        tokio::task::spawn_blocking(move || {
            // The place is held by the work itself: a caller that goes away does not free it.
            let _place = place;
            work()
        })
        .await
        .map_err(Error::internal)?
    }
}
