//! The writer's connection. It stops all writes after a failed fsync.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{
    connection::{check_transaction, execute, failure, is_failed_fsync, query},
    statement_cache::StatementCache,
};
use crate::{
    core::error::{Error, Result, chain},
    infra::db::{Connection, Row, Sql, Value},
};

pub(super) struct WriterConnection<'c> {
    pub(super) connection: &'c rusqlite::Connection,
    statements: StatementCache<'c>,
    /// See [`crate::infra::db::Db::failed`].
    failed: CancellationToken,
    /// Whether an fsync of this connection failed (rather than one of the checkpoint thread).
    is_broken: bool,
}

impl<'c> WriterConnection<'c> {
    pub(super) fn new(connection: &'c rusqlite::Connection, failed: CancellationToken) -> Self {
        WriterConnection {
            connection,
            statements: StatementCache::new(connection),
            failed,
            is_broken: false,
        }
    }

    /// Returns whether an fsync has failed. Then nothing may write to the file.
    pub(super) fn has_failed(&self) -> bool {
        self.is_broken || self.failed.is_cancelled()
    }

    /// Begins a write transaction. Waits up to `lock_timeout` for the write lock of another process.
    pub(super) fn begin(&mut self, lock_timeout: Duration) -> Result<()> {
        self.connection
            .busy_timeout(lock_timeout)
            .map_err(failure)?;
        self.control("BEGIN IMMEDIATE")
    }

    /// Runs a transaction control statement, e.g. `COMMIT` or `SAVEPOINT`.
    pub(super) fn control(&mut self, sql: &str) -> Result<()> {
        if self.has_failed() {
            return Err(writes_stopped());
        }
        let done = self.statements.get(sql)?.raw_execute();
        self.check_fsync(done.map(drop).map_err(failure))
    }

    /// Runs a pragma outside any transaction.
    pub(super) fn pragma(
        &mut self,
        sql: &str,
        each: &mut dyn FnMut(&Row<'_>) -> Result<bool>,
    ) -> Result<()> {
        if self.has_failed() {
            return Err(writes_stopped());
        }
        let done = query(self.statements.get(sql)?, &[], each);
        self.check_fsync(done)
    }

    /// Errors: the transaction was rolled back, or an fsync failed in an earlier statement.
    fn check(&self) -> Result<()> {
        check_transaction(self.connection)?;
        if self.is_broken {
            return Err(writes_stopped());
        }
        Ok(())
    }

    /// Stops all writes if `done` is a failed fsync.
    fn check_fsync<T>(&mut self, done: Result<T>) -> Result<T> {
        if let Err(error) = &done
            && is_failed_fsync(error)
        {
            self.is_broken = true;
            report_failed_fsync(&self.failed, error);
        }
        done
    }
}

impl Connection for WriterConnection<'_> {
    fn execute(&mut self, sql: Sql<'_>, args: &[Value<'_>]) -> Result<u64> {
        self.check()?;
        let done = execute(self.statements.get(sql.sqlite())?, args);
        self.check_fsync(done)
    }

    fn query(
        &mut self,
        sql: Sql<'_>,
        args: &[Value<'_>],
        each: &mut dyn FnMut(&Row<'_>) -> Result<bool>,
    ) -> Result<()> {
        self.check()?;
        let done = query(self.statements.get(sql.sqlite())?, args, each);
        self.check_fsync(done)
    }

    fn is_single_writer(&self) -> bool {
        true
    }
}

/// Stops all writes after a failed fsync. Logs the first failure.
pub(super) fn report_failed_fsync(failed: &CancellationToken, error: &Error) {
    if failed.is_cancelled() {
        return;
    }
    tracing::error!(
        error = %chain(error),
        "fsync failed: data may be lost; all writes are stopped, because a later fsync could succeed \
         without the lost pages; check the disk, then restart"
    );
    failed.cancel();
}

pub(super) fn writes_stopped() -> Error {
    Error::unavailable("the database accepts no writes after a disk failure")
}
