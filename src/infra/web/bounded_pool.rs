//! Bounded concurrency with bounded waiting: permits, and threads for CPU-bound work off the async runtime.

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

/// The maximum time that a caller waits for permits.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// A semaphore that also limits the number of callers that hold permits or wait for them.
#[derive(Debug, Clone)]
pub struct Permits {
    free: Arc<Semaphore>,
    capacity: u32,
    callers: Arc<Semaphore>,
    max_callers: usize,
}

/// Permits that a caller holds. Dropping it releases them.
#[derive(Debug)]
pub struct Permit {
    _permits: OwnedSemaphorePermit,
    _caller: OwnedSemaphorePermit,
}

impl Permits {
    /// `max_callers` limits how many callers hold permits or wait for them.
    pub fn new(permits: u32, max_callers: usize) -> Permits {
        Permits {
            free: Arc::new(Semaphore::new(permits as usize)),
            capacity: permits,
            callers: Arc::new(Semaphore::new(max_callers)),
            max_callers,
        }
    }

    /// Returns the number of callers that hold permits or wait for them.
    pub fn busy(&self) -> usize {
        self.max_callers - self.callers.available_permits()
    }

    /// Waits for `weight` permits. A weight above the number of permits acquires all of them.
    ///
    /// Errors: `unavailable` if there are too many callers, or the wait exceeds 10 seconds.
    pub async fn enter(&self, weight: u32) -> Result<Permit> {
        let full = || Error::unavailable("too many concurrent requests of this kind; retry later");
        let caller = Arc::clone(&self.callers);
        let caller = caller.try_acquire_owned().map_err(|_| full())?;
        let permits = Arc::clone(&self.free).acquire_many_owned(weight.min(self.capacity));
        let permits = tokio::time::timeout(ACQUIRE_TIMEOUT, permits)
            .await
            .map_err(|_| full())?
            .map_err(Error::internal)?;
        Ok(Permit {
            _permits: permits,
            _caller: caller,
        })
    }
}

/// A pool for CPU-bound work that limits how many calls run at a time. Each running call borrows one `M`:
/// working memory that is allocated once and reused, so that memory use does not grow with the number of
/// threads.
#[derive(Debug, Clone)]
pub struct BlockingPool<M> {
    permits: Permits,
    /// The working memory that no call uses now.
    idle: Arc<Mutex<Vec<M>>>,
}

impl<M: Default + Send + 'static> BlockingPool<M> {
    /// Runs at most `running` calls at a time, while at most `waiting` others wait.
    pub fn new(running: usize, waiting: usize) -> BlockingPool<M> {
        let permits = u32::try_from(running).unwrap_or(u32::MAX);
        BlockingPool {
            permits: Permits::new(permits, running + waiting),
            idle: Arc::default(),
        }
    }

    /// Returns the number of calls that run or wait.
    pub fn busy(&self) -> usize {
        self.permits.busy()
    }

    /// Runs `work` on a blocking thread.
    ///
    /// Errors: those of `work`; `unavailable` if there are too many callers, or the wait is too long.
    pub async fn run_with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut M) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let permit = self.permits.enter(1).await?;
        let idle = Arc::clone(&self.idle);
        tokio::task::spawn_blocking(move || {
            // The work holds the permit: a caller that is dropped does not release it.
            let _permit = permit;
            let lock = || idle.lock().unwrap_or_else(PoisonError::into_inner);
            let memory = lock().pop();
            let mut memory = memory.unwrap_or_default();
            let result = work(&mut memory);
            lock().push(memory);
            result
        })
        .await
        .map_err(Error::internal)?
    }
}

/// One dedicated thread for work that allocates much memory. The allocator caches freed memory per thread, so
/// work that moved between threads would retain several times the memory that it needs.
#[derive(Debug, Clone)]
pub struct DedicatedThread {
    permits: Permits,
    jobs: Sender<Job>,
}

type Job = Box<dyn FnOnce() + Send>;

impl DedicatedThread {
    /// Starts the thread, which ends with the last clone. At most `waiting` callers can wait for it.
    pub fn start(name: &str, waiting: usize) -> Result<DedicatedThread> {
        let (jobs, queue) = channel::<Job>();
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || queue.into_iter().for_each(|job| job()))
            .map_err(Error::internal)?;
        Ok(DedicatedThread {
            permits: Permits::new(1, 1 + waiting),
            jobs,
        })
    }

    /// Returns the number of calls that run or wait.
    pub fn busy(&self) -> usize {
        self.permits.busy()
    }

    /// Runs `work` on the thread.
    ///
    /// Errors: those of `work`; `unavailable` if there are too many callers, or the wait is too long.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let permit = self.permits.enter(1).await?;
        let (reply, response) = oneshot::channel();
        let job = move || {
            // The work holds the permit: a caller that is dropped does not release it.
            let _permit = permit;
            let result = catch_unwind(AssertUnwindSafe(work));
            let result = result.unwrap_or_else(|_| Err(Error::internal("the work panicked")));
            drop(reply.send(result));
        };
        let sent = self.jobs.send(Box::new(job));
        sent.map_err(|_| Error::internal("the thread has ended"))?;
        response.await.map_err(Error::internal)?
    }
}
