//! A bounded queue between callers and the threads of an engine. It rejects items when full or closed.

use std::sync::{
    PoisonError, RwLock,
    mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
};

use crate::core::error::{Error, Result};

/// The sending half.
pub(super) struct Queue<T>(RwLock<Option<SyncSender<T>>>);

impl<T> Queue<T> {
    /// Returns both halves of a queue that holds up to `capacity` items.
    pub(super) fn new(capacity: usize) -> (Queue<T>, Receiver<T>) {
        let (sender, receiver) = sync_channel(capacity);
        (Queue(RwLock::new(Some(sender))), receiver)
    }

    /// Adds an item without waiting.
    ///
    /// Errors: `unavailable` with the text `full` if the queue is full, or if it is closed.
    pub(super) fn push(&self, item: T, full: &'static str) -> Result<()> {
        let stopping = || Error::unavailable("the server is stopping; try again");
        let queue = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let sender = queue.as_ref().ok_or_else(stopping)?;
        sender.try_send(item).map_err(|error| match error {
            TrySendError::Full(_) => Error::unavailable(full),
            TrySendError::Disconnected(_) => stopping(),
        })
    }

    /// Closes the queue. The receiver still gets the queued items.
    pub(super) fn close(&self) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }
}
