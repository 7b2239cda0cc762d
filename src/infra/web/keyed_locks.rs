//! One async lock per key, so that concurrent requests for the same result compute it once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

/// The locks of this process that are held or awaited. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct KeyedLocks(Arc<Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>>);

/// Holds the lock of a key until it is dropped.
#[derive(Debug)]
pub struct KeyedLockGuard {
    _guard: tokio::sync::OwnedMutexGuard<()>,
}

impl KeyedLocks {
    /// Waits for the lock of `key`.
    pub async fn take(&self, key: &str) -> KeyedLockGuard {
        let lock = {
            let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let existing = locks.get(key).and_then(Weak::upgrade);
            existing.unwrap_or_else(|| {
                // Remove the locks that are no longer in use.
                locks.retain(|_, lock| lock.strong_count() > 0);
                let lock = Arc::default();
                locks.insert(key.to_owned(), Arc::downgrade(&lock));
                lock
            })
        };
        KeyedLockGuard {
            _guard: lock.lock_owned().await,
        }
    }
}
