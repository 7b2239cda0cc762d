//! One operation on its way through an engine: run, perhaps again, then answered.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Instant,
};

use tokio::sync::oneshot;

use super::{Connection, Tx};
use crate::core::{
    clock::Clock,
    error::{Error, Kind, Result},
    rng::Rng,
};

/// How a run of a job ended, before its transaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It wants the commit; `emitted` tells that listeners are to be woken after it.
    Done { emitted: bool },
    /// It gave an error, which is its answer.
    Failed,
    /// It panicked: what it left in the transaction is not to be kept.
    Panicked,
}

pub(crate) trait Job: Send {
    /// Runs the work in the open transaction and keeps what it gave.
    fn run(&mut self, connection: &mut dyn Connection) -> Outcome;

    /// Hands the kept answer to the caller.
    fn answer(self: Box<Self>);

    /// Answers with `error` instead of what was kept.
    fn refuse(self: Box<Self>, error: Error);

    /// Whether nobody waits for the answer any more.
    fn is_abandoned(&self) -> bool;

    /// When it was submitted: whatever it waits for, its timeout is measured from here.
    fn arrived(&self) -> Instant;
}

pub(super) struct Operation<T, F> {
    name: &'static str,
    work: F,
    reply: oneshot::Sender<Result<T>>,
    kept: Option<Result<T>>,
    clock: Clock,
    rng: Rng,
    arrived: Instant,
}

impl<T, F> Operation<T, F>
where
    T: Send + 'static,
    F: FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
{
    pub(super) fn boxed(
        name: &'static str,
        work: F,
        reply: oneshot::Sender<Result<T>>,
        clock: Clock,
        rng: Rng,
    ) -> Box<dyn Job> {
        Box::new(Operation {
            name,
            work,
            reply,
            kept: None,
            clock,
            rng,
            arrived: Instant::now(),
        })
    }
}

impl<T, F> Job for Operation<T, F>
where
    T: Send + 'static,
    F: FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
{
    fn run(&mut self, connection: &mut dyn Connection) -> Outcome {
        let mut tx = Tx::new(connection, self.clock.now(), &self.rng);
        match catch_unwind(AssertUnwindSafe(|| (self.work)(&mut tx))) {
            Ok(Ok(value)) => {
                let emitted = tx.has_emitted();
                self.kept = Some(Ok(value));
                Outcome::Done { emitted }
            }
            Ok(Err(error)) => {
                if error.kind() == Kind::Internal {
                    tracing::debug!(name = self.name, ?error, "an operation failed");
                }
                self.kept = Some(Err(error));
                Outcome::Failed
            }
            Err(_) => {
                let cause = format!("the operation `{}` panicked", self.name);
                self.kept = Some(Err(Error::internal(cause)));
                Outcome::Panicked
            }
        }
    }

    fn answer(self: Box<Self>) {
        if let Some(answer) = self.kept {
            // The caller may have gone away; what it asked for is committed all the same.
            drop(self.reply.send(answer));
        }
    }

    fn refuse(self: Box<Self>, error: Error) {
        drop(self.reply.send(Err(error)));
    }

    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn arrived(&self) -> Instant {
        self.arrived
    }
}
