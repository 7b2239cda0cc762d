//! The interface that each storage engine implements: [`Backend`] for the database, [`Connection`] for one
//! open transaction.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use super::{Operation, Row, Sql, Value, sqlite::wal::WalArchive};
use crate::core::error::{Error, Result};

/// The access mode of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// A read-only snapshot, for reads that take microseconds.
    Read,
    /// A read-only snapshot with a timeout; `None` means [`super::Options::long_read_timeout`].
    LongRead(Option<Duration>),
    /// A read-write transaction.
    Write,
}

/// How busy a storage engine is.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Operations that wait for a thread. On `SQLite`, only writes do.
    pub queued: usize,
    /// The maximum of `queued`.
    pub queue_capacity: usize,
    /// `SQLite`: the size of the WAL file in bytes. It keeps the largest size that it has had since the start.
    pub wal_bytes: Option<u64>,
}

/// A storage engine with its connections.
pub(crate) trait Backend: Send + Sync + 'static {
    /// Runs a short read in a snapshot on the caller's thread. Returns `None` if the engine does not support
    /// that; then the caller must [`Backend::submit`] the read.
    fn read_inline(
        &self,
        work: &mut dyn FnMut(&mut dyn Connection) -> Result<()>,
    ) -> Option<Result<()>>;

    /// Queues an operation. The engine sends the result to the caller; for a write, after the commit.
    fn submit(&self, access: Access, operation: Operation) -> Result<()>;

    /// Signals when every event committed so far has its sequence number. Returns `None` if the engine
    /// assigns numbers in the transaction.
    fn flush_events(&self) -> Option<oneshot::Receiver<()>>;

    /// Waits until everything is durable that a read before this call may have seen. Returns `None` if a read sees
    /// only what is durable.
    fn durable(&self) -> Option<BoxFuture<'static, Result<()>>> {
        None
    }

    /// Returns how many writes other processes have committed. Called only if results are cached.
    fn other_writes(&self) -> Result<i64> {
        Ok(0)
    }

    /// Finishes queued operations and rejects new ones.
    fn close(&self);

    /// Returns the signal for commits that emitted events.
    fn committed(&self) -> Arc<Notify>;

    /// See [`super::Db::load`].
    fn load(&self) -> Load;

    /// See [`super::Db::wal_archive`].
    fn wal_archive(&self) -> Option<Arc<WalArchive>> {
        None
    }

    /// Returns a token that is cancelled when the engine stops accepting writes until the next start.
    fn failed(&self) -> CancellationToken {
        CancellationToken::new()
    }
}

/// How many rows a pipelined statement must change, and the error if it changes another number.
pub(crate) struct Expected {
    pub(crate) rows: u64,
    pub(crate) otherwise: Box<dyn FnOnce() -> Error + Send>,
}

/// Identifies a prefetched query within its transaction.
pub(crate) type Ticket = u64;

/// A connection with an open transaction.
pub(crate) trait Connection {
    /// Runs a statement. Returns the number of changed rows.
    fn execute(&mut self, sql: Sql<'_>, args: &[Value<'_>]) -> Result<u64>;

    /// Runs a query and calls `each` for every row until it returns `false`.
    fn query(
        &mut self,
        sql: Sql<'_>,
        args: &[Value<'_>],
        each: &mut dyn FnMut(&Row<'_>) -> Result<bool>,
    ) -> Result<()>;

    /// See [`super::Tx::expect`] and [`super::Tx::execute_pipelined`]. An engine in this process runs the
    /// statement immediately.
    fn execute_pipelined(
        &mut self,
        sql: Sql<'_>,
        args: &[Value<'_>],
        expected: Option<Expected>,
    ) -> Result<()> {
        let rows = self.execute(sql, args)?;
        match expected {
            Some(expected) if expected.rows != rows => Err((expected.otherwise)()),
            _ => Ok(()),
        }
    }

    /// Pipelines a query. Returns `None` if the engine does not pipeline; then the caller must run the query by
    /// [`Connection::query`].
    fn prefetch(&mut self, _sql: Sql<'_>, _args: &[Value<'_>]) -> Result<Option<Ticket>> {
        Ok(None)
    }

    /// Calls `each` for every row of a prefetched query until it returns `false`.
    fn receive(
        &mut self,
        _ticket: Ticket,
        _each: &mut dyn FnMut(&Row<'_>) -> Result<bool>,
    ) -> Result<()> {
        Err(Error::internal("no query was prefetched"))
    }

    /// See [`super::Tx::is_single_writer`].
    fn is_single_writer(&self) -> bool;
}
