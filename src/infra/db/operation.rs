//! An operation in the queue of an engine: its closure, its result, and the channel to the caller.

use std::{
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

/// A queued operation. An engine may run it several times and replies to its caller exactly once.
pub(crate) trait Operation: Send {
    /// Runs the closure in the open transaction and stores its result.
    fn run(&mut self, connection: &mut dyn Connection) -> Outcome;

    /// Sends the stored result to the caller.
    fn reply(self: Box<Self>);

    /// Sends `error` to the caller instead of the stored result.
    fn reject(self: Box<Self>, error: Error);

    /// Returns whether the caller no longer waits for the result.
    fn is_abandoned(&self) -> bool;

    /// Returns the time of submission. All timeouts are counted from here.
    fn submitted_at(&self) -> Instant;
}

/// An [`Operation`] with a closure that returns a `T`.
pub(super) struct QueuedOperation<T, F> {
    name: &'static str,
    work: F,
    caller: oneshot::Sender<Result<T>>,
    result: Option<Result<T>>,
    context: Arc<Context>,
    submitted_at: Instant,
}

impl<T, F> QueuedOperation<T, F>
where
    T: Send + 'static,
    F: FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
{
    pub(super) fn boxed(
        name: &'static str,
        work: F,
        caller: oneshot::Sender<Result<T>>,
        context: Arc<Context>,
    ) -> Box<dyn Operation> {
        Box::new(QueuedOperation {
            name,
            work,
            caller,
            result: None,
            context,
            submitted_at: Instant::now(),
        })
    }
}

impl<T, F> Operation for QueuedOperation<T, F>
where
    T: Send + 'static,
    F: FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
{
    fn run(&mut self, connection: &mut dyn Connection) -> Outcome {
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

    fn reply(self: Box<Self>) {
        if let Some(result) = self.result {
            // The receiver may be gone; the transaction is committed anyway.
            drop(self.caller.send(result));
        }
    }

    fn reject(self: Box<Self>, error: Error) {
        drop(self.caller.send(Err(error)));
    }

    fn is_abandoned(&self) -> bool {
        self.caller.is_closed()
    }

    fn submitted_at(&self) -> Instant {
        self.submitted_at
    }
}
