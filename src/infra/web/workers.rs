//! A bounded number of threads for work that keeps a processor busy, so that the rest stays fast.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Sender, channel},
    },
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::core::error::{Error, Result};

/// How long a caller waits for a place before it is turned away.
const PATIENCE: Duration = Duration::from_secs(10);

/// Permits for what is bounded, and a bounded queue for them.
#[derive(Debug, Clone)]
pub struct Permits {
    free: Arc<Semaphore>,
    permits: u32,
    callers: Arc<Semaphore>,
    max_callers: usize,
}

/// Permits; they are free again when this is dropped.
#[derive(Debug)]
pub struct Place {
    _permits: OwnedSemaphorePermit,
    _caller: OwnedSemaphorePermit,
}

impl Permits {
    /// So many permits, for up to `max_callers` who hold some or wait for them.
    pub fn new(permits: u32, max_callers: usize) -> Permits {
        Permits {
            free: Arc::new(Semaphore::new(permits as usize)),
            permits,
            callers: Arc::new(Semaphore::new(max_callers)),
            max_callers,
        }
    }

    /// How many callers hold permits or wait for them.
    pub fn busy(&self) -> usize {
        self.max_callers - self.callers.available_permits()
    }

    /// Waits for `weight` permits, at most for all there are.
    ///
    /// Errors: `unavailable` if too many callers wait already, or for too long.
    pub async fn enter(&self, weight: u32) -> Result<Place> {
        let full = || Error::unavailable("too many such requests at once; try again");
        let caller = Arc::clone(&self.callers);
        let caller = caller.try_acquire_owned().map_err(|_| full())?;
        let permits = Arc::clone(&self.free).acquire_many_owned(weight.min(self.permits));
        let permits = tokio::time::timeout(PATIENCE, permits)
            .await
            .map_err(|_| full())?
            .map_err(Error::internal)?;
        Ok(Place {
            _permits: permits,
            _caller: caller,
        })
    }
}

/// A bounded number of threads for CPU-bound work. Each running call borrows one `M`: working memory
/// that is allocated once and reused, so that memory use does not grow with the number of threads.
#[derive(Debug, Clone)]
pub struct Workers<M> {
    places: Permits,
    /// The memory of the slots that are idle.
    idle: Arc<Mutex<Vec<M>>>,
}

impl<M: Default + Send + 'static> Workers<M> {
    /// At most `running` at once, and as many as `waiting` in line.
    pub fn new(running: usize, waiting: usize) -> Workers<M> {
        let permits = u32::try_from(running).unwrap_or(u32::MAX);
        Workers {
            places: Permits::new(permits, running + waiting),
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
        let place = self.places.enter(1).await?;
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

/// One dedicated thread for work that allocates much. The allocator keeps freed memory for each thread,
/// so work that moved between threads would keep several times the memory that it needs.
#[derive(Debug, Clone)]
pub struct Worker {
    places: Permits,
    jobs: Sender<Job>,
}

type Job = Box<dyn FnOnce() + Send>;

impl Worker {
    /// Starts the thread; it ends with the last clone. Up to `waiting` callers wait for it.
    pub fn start(name: &str, waiting: usize) -> Result<Worker> {
        let (jobs, queue) = channel::<Job>();
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || queue.into_iter().for_each(|job| job()))
            .map_err(Error::internal)?;
        Ok(Worker {
            places: Permits::new(1, 1 + waiting),
            jobs,
        })
    }

    /// How many run or wait in line.
    pub fn busy(&self) -> usize {
        self.places.busy()
    }

    /// Runs `work` on the thread.
    ///
    /// Errors: its own, and `unavailable` if too many wait already, or for too long.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let place = self.places.enter(1).await?;
        let (reply, answer) = oneshot::channel();
        let job = move || {
            // The work holds the place: a caller that goes away does not free it.
            let _place = place;
            let done = catch_unwind(AssertUnwindSafe(work));
            let done = done.unwrap_or_else(|_| Err(Error::internal("the work panicked")));
            drop(reply.send(done));
        };
        let sent = self.jobs.send(Box::new(job));
        sent.map_err(|_| Error::internal("the thread has ended"))?;
        answer.await.map_err(Error::internal)?
    }
}
