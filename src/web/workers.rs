//! A bounded number of threads for work that keeps a processor busy, so that the rest stays fast.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, Result};

/// How long a caller waits for a place before it is turned away.
const PATIENCE: Duration = Duration::from_secs(10);

/// A bounded number of places, and a bounded line of those who wait for one.
#[derive(Debug, Clone)]
pub struct Places {
    free: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    most: usize,
}

/// A place; it is free again when this is dropped.
#[derive(Debug)]
pub struct Place {
    _place: OwnedSemaphorePermit,
    _in_line: OwnedSemaphorePermit,
}

impl Places {
    /// So many at once, and as many as `waiting` in line.
    pub fn new(at_once: usize, waiting: usize) -> Places {
        Places {
            free: Arc::new(Semaphore::new(at_once)),
            waiting: Arc::new(Semaphore::new(at_once + waiting)),
            most: at_once + waiting,
        }
    }

    /// How many have a place or wait in line.
    pub fn busy(&self) -> usize {
        self.most - self.waiting.available_permits()
    }

    /// Waits for a place; unavailable if too many wait already, or for too long.
    pub async fn enter(&self) -> Result<Place> {
        let full = || Error::unavailable("too many such requests at once; try again");
        let in_line = Arc::clone(&self.waiting);
        let in_line = in_line.try_acquire_owned().map_err(|_| full())?;
        let place = tokio::time::timeout(PATIENCE, Arc::clone(&self.free).acquire_owned())
            .await
            .map_err(|_| full())?
            .map_err(Error::internal)?;
        Ok(Place {
            _place: place,
            _in_line: in_line,
        })
    }
}

/// A bounded number of threads for CPU-bound work. Each running call borrows one `M`: working memory
/// that is allocated once and reused, so that memory use does not grow with the number of threads.
#[derive(Debug, Clone)]
pub struct Workers<M = ()> {
    places: Places,
    /// The memory of the slots that are idle.
    idle: Arc<Mutex<Vec<M>>>,
}

impl<M: Default + Send + 'static> Workers<M> {
    /// At most `running` at once, and as many as `waiting` in line.
    pub fn new(running: usize, waiting: usize) -> Workers<M> {
        Workers {
            places: Places::new(running, waiting),
            idle: Arc::default(),
        }
    }

    /// How many run or wait in line.
    pub fn busy(&self) -> usize {
        self.places.busy()
    }

    /// Runs `work` off the request's thread; unavailable if too many wait already.
    pub async fn run_with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut M) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let place = self.places.enter().await?;
        let idle = Arc::clone(&self.idle);
        tokio::task::spawn_blocking(move || {
            // The place is held by the work itself: a caller that goes away does not free it.
            let _place = place;
            let lock = || idle.lock().unwrap_or_else(PoisonError::into_inner);
            let memory = lock().pop();
            let mut memory = memory.unwrap_or_default();
            let done = work(&mut memory);
            lock().push(memory);
            done
        })
        .await
        .map_err(Error::internal)?
    }
}

impl Workers {
    /// As [`Workers::run_with`], for work that needs no memory of its own.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.run_with(|()| work()).await
    }
}
