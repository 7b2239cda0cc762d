//! Group commit: runs a batch of operations in one transaction, and hands it to the syncer, which sends the results
//! once the commit is durable.
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

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use metrics::Histogram;

use super::{
    checkpoint::{NOOP, WalPages, wal_checkpoint},
    connection::is_busy,
    syncer::{Durability, Group, Syncer},
    wal::{Mark, WalFile},
    writer_connection::WriterConnection,
};
use crate::{
    core::error::{Error, Kind, Result, chain},
    infra::{
        db::{
            Operation, Outcome,
            cache::{COUNT_OTHER_WRITE, CacheTags},
        },
        metrics::WRITE_GROUP_SIZE,
    },
};

pub(super) struct GroupCommit<'c> {
    pub(super) connection: WriterConnection<'c>,
    wal: WalFile,
    syncer: Syncer,
    durability: Arc<Durability>,
    /// `None` if this process is not the server.
    cache_tags: Option<Arc<CacheTags>>,
    lock_timeout: Duration,
    group_sizes: Histogram,
    wal_pages: WalPages,
}

/// The outcome of one attempt to commit a batch.
enum Attempt {
    Committed(Commit),
    /// Rolled back because of the operation at index `culprit`. `error`, if any, replaces its result.
    RolledBack {
        culprit: usize,
        error: Option<Error>,
    },
    CommitFailed(Error),
    BeginFailed(Error),
}

struct Commit {
    has_written: bool,
    has_emitted: bool,
    began: Instant,
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
        wal: WalFile,
        syncer: Syncer,
        durability: Arc<Durability>,
        cache_tags: Option<Arc<CacheTags>>,
        lock_timeout: Duration,
    ) -> Self {
        GroupCommit {
            connection,
            wal,
            syncer,
            durability,
            cache_tags,
            lock_timeout,
            group_sizes: WRITE_GROUP_SIZE.histogram([]),
            wal_pages: WalPages::default(),
        }
    }

    /// Returns the pages in the WAL after the last commit.
    pub(super) fn wal_pages(&self) -> WalPages {
        self.wal_pages
    }

    /// Runs and commits every operation of the batch. `is_idle` returns whether no other operation waits.
    pub(super) fn commit(&mut self, mut batch: Vec<Operation>, is_idle: &dyn Fn() -> bool) {
        batch.retain(|operation| !operation.is_abandoned());
        let mut use_savepoints = false;
        while !batch.is_empty() {
            match self.attempt(&mut batch, use_savepoints) {
                Attempt::Committed(commit) => {
                    return self.send_when_durable(batch, Some(commit), is_idle());
                }
                Attempt::RolledBack { culprit, error } => {
                    let operation = batch.remove(culprit);
                    match error {
                        Some(error) => operation.reject(error),
                        None => self.send_when_durable(vec![operation], None, false),
                    }
                    use_savepoints = true;
                }
                // `Unavailable` is an I/O error. It is not retried: a second fsync may succeed although the
                // first has lost data.
                Attempt::CommitFailed(error)
                    if batch.len() > 1 && error.kind() != Kind::Unavailable =>
                {
                    for operation in batch {
                        self.commit(vec![operation], is_idle);
                    }
                    return;
                }
                Attempt::BeginFailed(error) if is_busy(&error) => {
                    batch = self.reject_timed_out(batch, &error);
                }
                Attempt::CommitFailed(error) | Attempt::BeginFailed(error) => {
                    tracing::error!(error = %chain(&error), operations = batch.len(), "group of writes failed");
                    for operation in batch {
                        operation.reject(error.without_source());
                    }
                    return;
                }
            }
        }
    }

    /// Rejects the operations that have waited for their whole lock timeout. Returns the others.
    fn reject_timed_out(&self, mut batch: Vec<Operation>, error: &Error) -> Vec<Operation> {
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

    /// Hands operations to the syncer. `commit` is `None` if their transaction was rolled back.
    fn send_when_durable(
        &mut self,
        operations: Vec<Operation>,
        commit: Option<Commit>,
        is_idle: bool,
    ) {
        let has_written = commit.as_ref().is_some_and(|commit| commit.has_written);
        let end = if has_written {
            self.wal_end().unwrap_or_else(|error| {
                tracing::warn!(error = %chain(&error), "the end of the WAL cannot be determined");
                None
            })
        } else {
            None
        };
        let group = Group {
            number: self.durability.begun(),
            operations,
            has_written,
            has_emitted: commit.as_ref().is_some_and(|commit| commit.has_emitted),
            end,
            commit_began: commit.map(|commit| commit.began),
        };
        self.syncer.push(group, is_idle);
    }

    /// Returns the end of the WAL; `None` if another process has restarted it meanwhile.
    fn wal_end(&mut self) -> Result<Option<Mark>> {
        let salts = self.wal.salts()?;
        self.wal_pages = wal_checkpoint(&mut self.connection, NOOP)?;
        if self.wal.salts()? != salts {
            return Ok(None);
        }
        let frames = u32::try_from(self.wal_pages.all).map_err(Error::internal)?;
        Ok(salts.map(|salts| Mark { salts, frames }))
    }

    fn attempt(&mut self, batch: &mut [Operation], use_savepoints: bool) -> Attempt {
        let waited = batch.first().map(|oldest| oldest.submitted_at().elapsed());
        // SQLite's busy timeout has millisecond resolution; one more, so that the oldest operation does not
        // need a second wait.
        let wait =
            self.lock_timeout.saturating_sub(waited.unwrap_or_default()) + Duration::from_millis(1);
        if let Err(error) = self.connection.begin(wait) {
            return Attempt::BeginFailed(error);
        }
        let mut has_emitted = false;
        let changes = self.connection.connection.total_changes();
        for (index, operation) in batch.iter_mut().enumerate() {
            match self.step(operation, use_savepoints) {
                Ok(Step::Kept { emitted }) => has_emitted |= emitted,
                Ok(Step::RollBack) => return self.rolled_back(index, None),
                Err(error) => return self.rolled_back(index, Some(error)),
            }
        }
        let began = Instant::now();
        let has_written = self.connection.connection.total_changes() != changes;
        match self.commit_group(has_written) {
            Ok(()) => {
                let size = u32::try_from(batch.len()).unwrap_or(u32::MAX);
                self.group_sizes.record(size);
                Attempt::Committed(Commit {
                    has_written,
                    has_emitted,
                    began,
                })
            }
            Err(error) => {
                self.roll_back();
                self.send_when_durable(Vec::new(), None, false);
                Attempt::CommitFailed(error)
            }
        }
    }

    fn commit_group(&mut self, has_written: bool) -> Result<()> {
        if has_written && self.cache_tags.is_none() {
            self.connection.control(COUNT_OTHER_WRITE)?;
        }
        self.durability.begin();
        self.connection.control("COMMIT")?;
        if let Some(tags) = &self.cache_tags {
            tags.count_commit();
        }
        Ok(())
    }

    /// Runs one operation of the batch. Errors: the transaction itself is lost.
    fn step(&mut self, operation: &mut Operation, use_savepoint: bool) -> Result<Step> {
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
