//! The interface that each storage engine implements: [`Backend`] for the database, [`Connection`] for one
//! open transaction.

use std::{sync::Arc, time::Duration};

use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use super::{Operation, Row, Sql, Value};
use crate::core::error::Result;

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

/// A storage engine with its connections.
pub(crate) trait Backend: Send + Sync + 'static {
    /// Runs a short read in a snapshot on the caller's thread. Returns `None` if the engine does not support
    /// that; then the caller must [`Backend::submit`] the read.
    fn read_inline(
        &self,
        work: &mut dyn FnMut(&mut dyn Connection) -> Result<()>,
    ) -> Option<Result<()>>;

    /// Queues an operation. The engine sends the result to the caller; for a write, after the commit.
    fn submit(&self, access: Access, operation: Box<dyn Operation>) -> Result<()>;

    /// Signals when every event committed so far has its sequence number. Returns `None` if the engine
    /// assigns numbers in the transaction.
    fn flush_events(&self) -> Option<oneshot::Receiver<()>>;

    /// Finishes queued operations and rejects new ones.
    fn close(&self);

    /// Returns the signal for commits that emitted events.
    fn committed(&self) -> Arc<Notify>;

    /// Returns a token that is cancelled when the engine stops accepting writes until the next start.
    fn failed(&self) -> CancellationToken {
        CancellationToken::new()
    }
}

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

    /// See [`super::Tx::at_once`]. Returns whether the statement returned rows; always `false` on an engine
    /// without network round trips.
    fn at_once(
        &mut self,
        _sql: &str,
        _args: &[Value<'_>],
        _each: &mut dyn FnMut(&Row<'_>) -> Result<()>,
    ) -> Result<bool> {
        Ok(false)
    }

    /// See [`super::Tx::is_single_writer`].
    fn is_single_writer(&self) -> bool;
}
