//! Decides whether a cached result of a read is still current.
//!
//! A cached result has tags, which name what it depends on, and the [`CacheVersion`] that was read before its snapshot.
//! A write invalidates tags. The result is current if its tags have not been invalidated since its version:
//!
//! - The server's writer marks a tag with the number of the next commit before it commits. The number counts as
//!   committed only after COMMIT, so a result whose snapshot may lack the commit has a lower version than the mark.
//! - Other processes, such as `shop admin`, count their writes in a row of the database, which each use of the cache
//!   reads. If it has changed, everything that is cached is outdated.
//!
//! So the next read after an acknowledged write returns its effect, as it does without a cache. A transaction that is
//! rolled back, or two tags that share a slot, only cause a read that was not necessary.
//!
//! On `PostgreSQL` nothing is cached: other instances write at any time, and asking for a version takes the same round
//! trip as the read.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::atomic::{AtomicU64, Ordering},
};

use uuid::Uuid;

/// The number of slots for tags, 8 bytes each. Tags with the same slot are invalidated together.
const SLOTS: usize = 1 << 16;

/// Names what a cached result depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheTag {
    slot: usize,
}

impl CacheTag {
    /// Returns the tag of a kind of thing, such as all lists of products.
    pub fn new(kind: &str) -> CacheTag {
        CacheTag::hashed(kind)
    }

    /// Returns the tag of one thing of a kind.
    pub fn of(kind: &str, id: Uuid) -> CacheTag {
        CacheTag::hashed((kind, id))
    }

    fn hashed(name: impl Hash) -> CacheTag {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        // The remainder is below `SLOTS`.
        let slot = usize::try_from(hasher.finish() % SLOTS as u64).unwrap_or_default();
        CacheTag { slot }
    }
}

/// The version of the database to which a cached result belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheVersion {
    /// The number of commits of the server.
    pub(super) own: u64,
    /// The number of writes by other processes.
    pub(super) others: i64,
}

/// The tags that the server has invalidated.
pub(crate) struct CacheTags {
    /// The number of the last commit that invalidated a tag of each slot.
    slots: Box<[AtomicU64]>,
    committed: AtomicU64,
}

impl CacheTags {
    pub(crate) fn new() -> CacheTags {
        CacheTags {
            slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
            committed: AtomicU64::new(0),
        }
    }

    /// Marks a tag with the number of the next commit.
    pub(super) fn invalidate(&self, tag: CacheTag) {
        let next = self.committed.load(Ordering::SeqCst) + 1;
        self.slots[tag.slot].store(next, Ordering::SeqCst);
    }

    /// Counts a commit. The writer calls it after COMMIT, since a read before COMMIT does not see its changes.
    pub(in crate::infra::db) fn count_commit(&self) {
        self.committed.fetch_add(1, Ordering::SeqCst);
    }

    /// Returns the number of commits, which the snapshots of later reads include.
    pub(super) fn committed(&self) -> u64 {
        self.committed.load(Ordering::SeqCst)
    }

    /// Returns whether a result of the version `cached` is still current at the version `current`.
    pub(super) fn is_current(
        &self,
        cached: CacheVersion,
        tags: &[CacheTag],
        current: CacheVersion,
    ) -> bool {
        let invalidated = |tag: &CacheTag| self.slots[tag.slot].load(Ordering::SeqCst);
        cached.others == current.others && tags.iter().all(|tag| invalidated(tag) <= cached.own)
    }
}

/// Reads the number of writes by other processes, which is stored as a setting. There is no row before the first one.
pub(in crate::infra::db) const SELECT_OTHER_WRITES: &str =
    "SELECT CAST(value AS INTEGER) FROM settings WHERE name = 'other_writes'";

/// Counts a write of a process that is not the server.
pub(in crate::infra::db) const COUNT_OTHER_WRITE: &str =
    "INSERT INTO settings (name, value) VALUES ('other_writes', '1')
     ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT)";
