//! The bounded queues between callers and the threads of an engine.

use async_channel::{Sender, TrySendError};

use crate::core::error::{Error, Result};

/// Adds an item to a queue without waiting. The receiver of a queue that is closed still gets the queued items.
///
/// Errors: `unavailable` with the text `full` if the queue is full, or if it is closed.
pub(super) fn push<T>(queue: &Sender<T>, item: T, full: &'static str) -> Result<()> {
    queue.try_send(item).map_err(|error| match error {
        TrySendError::Full(_) => Error::unavailable(full),
        TrySendError::Closed(_) => Error::unavailable("the server is stopping; try again"),
    })
}

/// Returns how many items wait in a queue, and how many may.
pub(super) fn length<T>(queue: &Sender<T>) -> (usize, usize) {
    (queue.len(), queue.capacity().unwrap_or(usize::MAX))
}
