//! A pool of threads that take operations from one queue. Each thread owns a connection, opened at first use
//! and reopened when lost.
//!
//! An operation runs again if Postgres asks for a retry or if its connection was lost before COMMIT was sent.
//! If the connection is lost during COMMIT, the outcome is unknown; the operation is not retried and the
//! caller gets an error.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use async_channel::{Receiver, Sender};
use metrics::Histogram;
use tokio::sync::Notify;

use super::{connection::PgConnection, connection_settings::ConnectionSettings, errors::TxError};
use crate::{
    core::{
        error::{Error, Result, chain},
        rng::Rng,
    },
    infra::{
        db::{Access, Operation, Outcome, queue},
        metrics::COMMIT_DURATION,
    },
};

/// The maximum number of attempts of one operation.
const MAX_ATTEMPTS: u32 = 6;

/// The upper bound of the random backoff before the second attempt; doubles with each attempt.
const INITIAL_BACKOFF: Duration = Duration::from_millis(4);

/// How long a shutdown waits for the threads to finish.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

type Submission = (Access, Operation);

pub(super) struct WorkerPool {
    queue: Sender<Submission>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl WorkerPool {
    /// Starts `size` threads. They signal `unsequenced` after commits that emitted events.
    pub(super) fn start(
        name: &str,
        size: u32,
        queue_capacity: usize,
        settings: ConnectionSettings,
        unsequenced: Arc<Notify>,
    ) -> Result<WorkerPool> {
        let (queue, receiver) = async_channel::bounded(queue_capacity);
        let worker = Arc::new(Worker {
            settings,
            unsequenced,
            rng: Rng::system(),
            commit_durations: COMMIT_DURATION.histogram([]),
        });
        let threads = (1..=size)
            .map(|number| {
                let (worker, receiver) = (Arc::clone(&worker), receiver.clone());
                std::thread::Builder::new()
                    .name(format!("{name} {number}"))
                    .spawn(move || worker.serve(&receiver))
                    .map_err(Error::internal)
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(WorkerPool {
            queue,
            threads: Mutex::new(threads),
        })
    }

    pub(super) fn push(&self, access: Access, operation: Operation) -> Result<()> {
        let full = "too many requests are waiting; try again";
        queue::push(&self.queue, (access, operation), full)
    }

    /// Returns how many operations wait, and how many may.
    pub(super) fn queue_length(&self) -> (usize, usize) {
        queue::length(&self.queue)
    }

    /// Rejects new operations and finishes the queued ones.
    pub(super) fn close(&self) {
        self.queue.close();
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        join_with_timeout(threads);
    }
}

impl Drop for WorkerPool {
    fn drop(&mut self) {
        self.close();
    }
}

/// Waits up to [`SHUTDOWN_TIMEOUT`] for threads to end. A thread that waits for an unresponsive server is
/// leaked.
pub(super) fn join_with_timeout(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    let deadline = Instant::now() + SHUTDOWN_TIMEOUT;
    for thread in threads {
        while !thread.is_finished() {
            if Instant::now() > deadline {
                return tracing::warn!(
                    "the database does not respond; shutting down without waiting for it"
                );
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        if thread.join().is_err() {
            tracing::error!("a database thread panicked");
        }
    }
}

/// The state that the threads of a pool share.
struct Worker {
    settings: ConnectionSettings,
    unsequenced: Arc<Notify>,
    rng: Rng,
    commit_durations: Histogram,
}

/// The outcome of one attempt at an operation.
enum Attempt {
    /// The operation's own result, success or error, is final.
    Finished {
        emitted: bool,
    },
    Rejected(Error),
    /// A conflict with another transaction, or a connection lost before COMMIT: nothing was written.
    Retry(Error),
}

impl Worker {
    fn serve(&self, queue: &Receiver<Submission>) {
        let mut connection = None;
        while let Ok((access, operation)) = queue.recv_blocking() {
            if !operation.is_abandoned() {
                self.run(&mut connection, access, operation);
            }
        }
    }

    /// Runs an operation, with retries, and replies to its caller.
    fn run(&self, connection: &mut Option<PgConnection>, access: Access, mut operation: Operation) {
        let mut backoff = INITIAL_BACKOFF;
        for number in 1..=MAX_ATTEMPTS {
            let error = match self.attempt(connection, access, &mut operation) {
                Attempt::Finished { emitted } => {
                    operation.reply();
                    if emitted {
                        self.unsequenced.notify_one();
                    }
                    return;
                }
                Attempt::Rejected(error) => return operation.reject(error),
                Attempt::Retry(error) => error,
            };
            if number == MAX_ATTEMPTS {
                return operation.reject(error);
            }
            std::thread::sleep(self.random_below(backoff));
            backoff *= 2;
        }
    }

    fn attempt(
        &self,
        connection: &mut Option<PgConnection>,
        access: Access,
        operation: &mut Operation,
    ) -> Attempt {
        if connection.as_ref().is_some_and(PgConnection::is_lost) {
            *connection = None;
        }
        let connection = match connection {
            Some(connection) => connection,
            None => match PgConnection::open(&self.settings) {
                Ok(opened) => connection.insert(opened),
                Err(error) => {
                    // The client's text must not reveal the server's address.
                    tracing::warn!(error = %chain(&error), "cannot connect to the database");
                    return Attempt::Rejected(Error::unavailable(
                        "the database cannot be reached; try again",
                    ));
                }
            },
        };
        connection.begin(access);
        // The time in the queue counts toward the lock timeout.
        let (lock_timeout, waited) = (
            self.settings.lock_timeout,
            operation.submitted_at().elapsed(),
        );
        if access == Access::Write && waited > lock_timeout / 10 {
            connection.set_lock_timeout(lock_timeout.saturating_sub(waited));
        }
        let outcome = operation.run(connection);
        let emitted = outcome == (Outcome::Done { emitted: true });
        let ended = match outcome {
            Outcome::Done { .. } => {
                let started = Instant::now();
                let committed = connection.commit();
                if access == Access::Write {
                    self.commit_durations.record(started.elapsed());
                }
                committed
            }
            Outcome::Failed | Outcome::Panicked => connection.roll_back(),
        };
        match (connection.tx_error(), ended) {
            (None, Ok(())) => Attempt::Finished { emitted },
            (Some(TxError::Conflict), _) => Attempt::Retry(Error::unavailable(
                "too many conflicting changes; try again",
            )),
            (Some(TxError::ConnectionLost), _) => Attempt::Retry(Error::unavailable(
                "the connection to the database was lost; try again",
            )),
            (Some(TxError::OutcomeUnknown), _) => Attempt::Rejected(Error::unavailable(
                "the connection to the database was lost during the commit; check whether the change was \
                 made, or retry with the same `Idempotency-Key`",
            )),
            // The operation's own error is more specific than the failed transaction.
            (Some(TxError::Failed), _) if outcome == Outcome::Failed => {
                Attempt::Finished { emitted: false }
            }
            (Some(TxError::Failed), Ok(())) => Attempt::Rejected(Error::internal(
                "the operation returned `Ok` after a failed statement",
            )),
            (_, Err(error)) => Attempt::Rejected(error),
        }
    }

    /// Returns a random duration below `max`, so that conflicting operations do not retry in lockstep.
    fn random_below(&self, max: Duration) -> Duration {
        let micros = u64::try_from(max.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.rng.below(micros.max(1)))
    }
}
