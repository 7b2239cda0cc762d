//! An operation in the queue of an engine: its closure, its result, and the channel to the caller.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Instant,
};

use tokio::sync::oneshot;

use super::{Connection, Context, Tx};
use crate::core::error::{Error, Kind, Result, chain};

/// The outcome of one run of an operation, before its transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The closure returned `Ok`: commit. `emitted` states whether it emitted events.
    Done { emitted: bool },
    /// The closure returned an error, which is the result.
    Failed,
    /// The closure panicked: roll back.
    Panicked,
}

/// The result of a closure. Its type is erased, so that the queues and engines are compiled once and not for each
/// operation.
pub(super) type Output = Box<dyn Any + Send>;

/// The closure of an operation.
pub(super) type Work = Box<dyn FnMut(&mut Tx<'_>) -> Result<Output> + Send>;

/// A queued operation. An engine may run it several times and replies to its caller exactly once.
pub(crate) struct Operation {
    name: &'static str,
    work: Work,
    caller: oneshot::Sender<Result<Output>>,
    result: Option<Result<Output>>,
    context: Arc<Context>,
    submitted_at: Instant,
}

impl Operation {
    pub(super) fn new(
        name: &'static str,
        work: Work,
        caller: oneshot::Sender<Result<Output>>,
        context: Arc<Context>,
    ) -> Operation {
        Operation {
            name,
            work,
            caller,
            result: None,
            context,
            submitted_at: Instant::now(),
        }
    }

    /// Runs the closure in the open transaction and stores its result.
    pub(super) fn run(&mut self, connection: &mut dyn Connection) -> Outcome {
        let mut tx = Tx::new(connection, &self.context);
        match catch_unwind(AssertUnwindSafe(|| (self.work)(&mut tx))) {
            Ok(Ok(value)) => {
                let emitted = tx.has_emitted();
                self.result = Some(Ok(value));
                Outcome::Done { emitted }
            }
            Ok(Err(error)) => {
                if error.kind() == Kind::Internal {
                    tracing::debug!(name = self.name, error = %chain(&error), "operation failed");
                }
                self.result = Some(Err(error));
                Outcome::Failed
            }
            Err(_) => {
                let cause = format!("the operation `{}` panicked", self.name);
                self.result = Some(Err(Error::internal(cause)));
                Outcome::Panicked
            }
        }
    }

    /// Sends the stored result to the caller.
    pub(super) fn reply(self) {
        if let Some(result) = self.result {
            // The receiver may be gone; the transaction is committed anyway.
            drop(self.caller.send(result));
        }
    }

    /// Sends `error` to the caller instead of the stored result.
    pub(super) fn reject(self, error: Error) {
        drop(self.caller.send(Err(error)));
    }

    /// Returns whether the caller no longer waits for the result.
    pub(super) fn is_abandoned(&self) -> bool {
        self.caller.is_closed()
    }

    /// Returns the time of submission. All timeouts are counted from here.
    pub(super) fn submitted_at(&self) -> Instant {
        self.submitted_at
    }
}
