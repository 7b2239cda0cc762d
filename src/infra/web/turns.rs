//! One at a time for each key, so that what several ask for at once is made once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

/// Who is at work on which key, in this process.
#[derive(Debug, Clone, Default)]
pub struct KeyedLocks(Arc<Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>>);

/// A turn; it ends when this is dropped.
#[derive(Debug)]
pub struct Turn {
    _held: tokio::sync::OwnedMutexGuard<()>,
}

impl KeyedLocks {
    /// Waits for the turn of `key`.
    pub async fn take(&self, key: &str) -> Turn {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let running = turns.get(key).and_then(Weak::upgrade);
            running.unwrap_or_else(|| {
                // Those that nobody waits for any more.
                turns.retain(|_, turn| turn.strong_count() > 0);
                let turn = Arc::default();
                turns.insert(key.to_owned(), Arc::downgrade(&turn));
                turn
            })
        };
        Turn {
            _held: turn.lock_owned().await,
        }
    }
}
