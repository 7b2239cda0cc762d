//! A bounded queue that threads are fed by: full it refuses, and closed it takes no more.

use std::sync::{
    PoisonError, RwLock,
    mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
};

use crate::core::error::{Error, Result};

/// The end that is filled.
pub(super) struct Queue<T>(RwLock<Option<SyncSender<T>>>);

impl<T> Queue<T> {
    /// A queue in which so many wait at most, and the end that is emptied.
    pub(super) fn new(most: usize) -> (Queue<T>, Receiver<T>) {
        let (sender, receiver) = sync_channel(most);
        (Queue(RwLock::new(Some(sender))), receiver)
    }

    /// Adds to it, or is unavailable: for `full`, or because it is closed.
    pub(super) fn push(&self, item: T, full: &'static str) -> Result<()> {
        let stopping = || Error::unavailable("the server is stopping; try again");
        let queue = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let sender = queue.as_ref().ok_or_else(stopping)?;
        sender.try_send(item).map_err(|refused| match refused {
            TrySendError::Full(_) => Error::unavailable(full),
            TrySendError::Disconnected(_) => stopping(),
        })
    }

    /// Takes no more; what waits is still handed out, and then the other end is told.
    pub(super) fn close(&self) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }
}
