//! Group commit: runs a batch of operations in one transaction with one fsync, then sends all results.
//!
//! A failing operation must not affect the rest of its batch:
//!
//! - If it failed without writing, its error is the result and the batch continues.
//! - If it failed after writing, or panicked, or SQLite rolled the transaction back, the whole batch is
//!   rolled back. The culprit gets its error, and the others run again in a new transaction, now each in its
//!   own savepoint. (Savepoints from the start would cost every operation a tenth of its time.)
//! - If the commit fails, the batch is rolled back and each operation runs in a transaction of its own.
//!
//! So an operation may run several times but its caller gets exactly one reply.
//!
//! If another process holds the write lock, BEGIN waits for the remaining lock timeout of the oldest
//! operation. Operations that exceed their timeout are rejected, and the rest of the batch tries again.

use std::time::{Duration, Instant};

use metrics::Histogram;
use tokio::runtime::Handle;

use super::{batch_size::BatchSize, connection::is_busy, writer_connection::WriterConnection};
use crate::{
    core::{
        clock::{Clock, Timestamp},
        error::{Error, Kind, Result, chain},
    },
    infra::{
        db::{Operation, Outcome},
        metrics::{COMMIT_DURATION, WRITE_GROUP_SIZE},
    },
};

pub(super) struct GroupCommit<'c> {
    pub(super) connection: WriterConnection<'c>,
    batch_size: BatchSize,
    lock_timeout: Duration,
    clock: Clock,
    committed_at: Timestamp,
    /// The runtime of the callers.
    runtime: Option<Handle>,
    group_sizes: Histogram,
    commit_durations: Histogram,
}

/// The outcome of one attempt to commit a batch.
enum Attempt {
    Committed {
        emitted: bool,
    },
    /// Rolled back because of the operation at index `culprit`. `error`, if any, replaces its result.
    RolledBack {
        culprit: usize,
        error: Option<Error>,
    },
    CommitFailed(Error),
    BeginFailed(Error),
}

/// The outcome of one operation of a batch.
enum Step {
    /// The batch continues.
    Kept { emitted: bool },
    /// The batch must be rolled back.
    RollBack,
}

impl<'c> GroupCommit<'c> {
    pub(super) fn new(
        connection: WriterConnection<'c>,
        lock_timeout: Duration,
        clock: Clock,
        runtime: Option<Handle>,
    ) -> Self {
        GroupCommit {
            connection,
            batch_size: BatchSize::default(),
            lock_timeout,
            committed_at: clock.now(),
            clock,
            runtime,
            group_sizes: WRITE_GROUP_SIZE.histogram([]),
            commit_durations: COMMIT_DURATION.histogram([]),
        }
    }

    /// Returns the maximum size of the next batch.
    pub(super) fn max_batch(&self) -> usize {
        self.batch_size.max()
    }

    /// Returns the time of the last commit, taken before its callers got their replies.
    pub(super) fn committed_at(&self) -> Timestamp {
        self.committed_at
    }

    /// Runs, commits and replies to every operation of the batch. Returns whether a committed one emitted
    /// events.
    pub(super) fn commit(&mut self, mut batch: Vec<Box<dyn Operation>>) -> bool {
        batch.retain(|operation| !operation.is_abandoned());
        let mut use_savepoints = false;
        while !batch.is_empty() {
            match self.attempt(&mut batch, use_savepoints) {
                Attempt::Committed { emitted } => {
                    self.reply(batch);
                    return emitted;
                }
                Attempt::RolledBack { culprit, error } => {
                    let operation = batch.remove(culprit);
                    match error {
                        Some(error) => operation.reject(error),
                        None => operation.reply(),
                    }
                    use_savepoints = true;
                }
                // `Unavailable` is an I/O error. It is not retried: a second fsync may succeed although the
                // first has lost data.
                Attempt::CommitFailed(error)
                    if batch.len() > 1 && error.kind() != Kind::Unavailable =>
                {
                    let mut emitted = false;
                    for operation in batch {
                        emitted |= self.commit(vec![operation]);
                    }
                    return emitted;
                }
                Attempt::BeginFailed(error) if is_busy(&error) => {
                    batch = self.reject_timed_out(batch, &error);
                }
                Attempt::CommitFailed(error) | Attempt::BeginFailed(error) => {
                    tracing::error!(error = %chain(&error), operations = batch.len(), "group of writes failed");
                    for operation in batch {
                        operation.reject(error.without_source());
                    }
                    return false;
                }
            }
        }
        false
    }

    /// Rejects the operations that have waited for their whole lock timeout. Returns the others.
    fn reject_timed_out(
        &self,
        mut batch: Vec<Box<dyn Operation>>,
        error: &Error,
    ) -> Vec<Box<dyn Operation>> {
        batch.retain(|operation| !operation.is_abandoned());
        let (timed_out, others): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .partition(|operation| operation.submitted_at().elapsed() >= self.lock_timeout);
        if !timed_out.is_empty() {
            tracing::warn!(
                operations = timed_out.len(),
                "another process holds the database's write lock"
            );
        }
        for operation in timed_out {
            operation.reject(error.without_source());
        }
        others
    }

    /// Sends the results from a task of the callers' runtime. Waking callers from there is cheaper than from
    /// this thread, and the next batch starts meanwhile.
    fn reply(&self, batch: Vec<Box<dyn Operation>>) {
        let all = move || batch.into_iter().for_each(Operation::reply);
        match &self.runtime {
            Some(runtime) => drop(runtime.spawn(async move { all() })),
            None => all(),
        }
    }

    fn attempt(&mut self, batch: &mut [Box<dyn Operation>], use_savepoints: bool) -> Attempt {
        let started = Instant::now();
        let waited = batch.first().map(|oldest| oldest.submitted_at().elapsed());
        // SQLite's busy timeout has millisecond resolution; one more, so that the oldest operation does not
        // need a second wait.
        let wait =
            self.lock_timeout.saturating_sub(waited.unwrap_or_default()) + Duration::from_millis(1);
        if let Err(error) = self.connection.begin(wait) {
            return Attempt::BeginFailed(error);
        }
        let mut emitted = false;
        for (index, operation) in batch.iter_mut().enumerate() {
            match self.step(operation.as_mut(), use_savepoints) {
                Ok(Step::Kept { emitted: more }) => emitted |= more,
                Ok(Step::RollBack) => return self.rolled_back(index, None),
                Err(error) => return self.rolled_back(index, Some(error)),
            }
        }
        let work = started.elapsed();
        match self.connection.control("COMMIT") {
            Ok(()) => {
                self.committed_at = self.clock.now();
                let commit = started.elapsed().saturating_sub(work);
                self.batch_size.record(batch.len(), work, commit);
                let size = u32::try_from(batch.len()).unwrap_or(u32::MAX);
                self.group_sizes.record(size);
                self.commit_durations.record(commit);
                Attempt::Committed { emitted }
            }
            Err(error) => {
                self.roll_back();
                Attempt::CommitFailed(error)
            }
        }
    }

    /// Runs one operation of the batch. Errors: the transaction itself is lost.
    fn step(&mut self, operation: &mut dyn Operation, use_savepoint: bool) -> Result<Step> {
        if use_savepoint {
            self.connection.control("SAVEPOINT operation")?;
        }
        let changes_before = self.connection.connection.total_changes();
        let outcome = operation.run(&mut self.connection);
        if self.connection.connection.is_autocommit() {
            // SQLite has rolled the transaction back: disk full, an I/O error, or ON CONFLICT ROLLBACK. Even
            // if the operation returned `Ok`, its changes are gone.
            return match outcome {
                Outcome::Done { .. } => Err(Error::internal(
                    "the transaction was rolled back inside an operation",
                )),
                Outcome::Failed | Outcome::Panicked => Ok(Step::RollBack),
            };
        }
        let has_written = self.connection.connection.total_changes() != changes_before;
        let emitted = match outcome {
            Outcome::Done { emitted } => emitted,
            Outcome::Failed if !has_written => false,
            Outcome::Failed | Outcome::Panicked if use_savepoint => {
                self.connection.control("ROLLBACK TO operation")?;
                false
            }
            Outcome::Failed | Outcome::Panicked => return Ok(Step::RollBack),
        };
        if use_savepoint {
            self.connection.control("RELEASE operation")?;
        }
        Ok(Step::Kept { emitted })
    }

    fn rolled_back(&mut self, culprit: usize, error: Option<Error>) -> Attempt {
        self.roll_back();
        Attempt::RolledBack { culprit, error }
    }

    fn roll_back(&mut self) {
        if !self.connection.connection.is_autocommit()
            && !self.connection.has_failed()
            && let Err(error) = self.connection.control("ROLLBACK")
        {
            tracing::error!(error = %chain(&error), "rollback failed");
        }
    }
}
