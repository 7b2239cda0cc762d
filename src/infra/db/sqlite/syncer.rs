//! The syncer: makes commits durable while the writer runs the next operations.
//!
//! A server's writer commits with `synchronous = NORMAL`, which writes the WAL without an fsync, and hands each group to
//! this thread. It syncs the WAL and sends the results. One sync covers all groups that wait for it. If neither a group
//! nor another operation waits, the writer syncs the WAL itself, which saves waking this thread. No result of an operation
//! that has read the database is sent earlier, even if it wrote nothing: it may depend on a commit that is not durable yet.
//!
//! Why a commit survives a power loss once its results are sent:
//!
//! - Its frames were in the file before the sync began. Later frames may reach the disk whole, in part or not at all:
//!   the recovery of `SQLite` ends at the first frame whose checksum is wrong, and that frame is after the synced ones.
//! - The WAL is restarted only after a checkpoint has synced the WAL, copied all its frames into the database file and
//!   synced that file. So frames that are overwritten before this thread has synced them are durable as well.
//!
//! Commands commit with `synchronous = FULL`, so that the server sees their commits only once they are durable; the sync
//! of this thread then has nothing to do.
//!
//! A read may see a commit that is not durable yet. What must not be lost, such as the position of a client that
//! follows the stock, is read by [`crate::infra::db::Db::read_durable`].

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Instant,
};

use async_channel::{Receiver, Sender};
use metrics::Histogram;
use tokio::{
    runtime::Handle,
    sync::{Notify, watch},
};
use tokio_util::sync::CancellationToken;

use super::{
    wal::{Mark, WalArchive, WalFile},
    writer_connection::{report_failed_fsync, writes_stopped},
};
use crate::{
    core::{
        clock::Clock,
        error::{Error, Result},
    },
    infra::db::Operation,
};

/// How many groups may wait for a sync. Then the writer waits, too.
const MAX_WAITING: usize = 64;

/// The operations of a transaction, whose results are to be sent once it is durable or rolled back.
pub(super) struct Group {
    /// See [`Durability::begin`].
    pub(super) number: u64,
    pub(super) operations: Vec<Operation>,
    pub(super) has_written: bool,
    pub(super) has_emitted: bool,
    /// The end of the WAL after the commit, if it is known.
    pub(super) end: Option<Mark>,
    /// `None` if the transaction was rolled back.
    pub(super) commit_began: Option<Instant>,
}

/// How far the commits of this process are durable.
#[derive(Debug)]
pub(super) struct Durability {
    begun: AtomicU64,
    durable: watch::Sender<u64>,
    failed: CancellationToken,
}

impl Durability {
    pub(super) fn new(failed: CancellationToken) -> Durability {
        Durability {
            begun: AtomicU64::new(0),
            durable: watch::Sender::new(0),
            failed,
        }
    }

    /// Numbers the next group. The writer calls it before the commit, after which reads may see the group.
    pub(super) fn begin(&self) {
        self.begun.fetch_add(1, Ordering::SeqCst);
    }

    /// Returns the number of the newest group.
    pub(super) fn begun(&self) -> u64 {
        self.begun.load(Ordering::SeqCst)
    }

    /// Returns whether all groups before this one are durable.
    fn is_next(&self, group: u64) -> bool {
        *self.durable.borrow() + 1 >= group
    }

    /// Waits until everything that an earlier read may have seen is durable. Errors: `unavailable` if a sync
    /// has failed.
    pub(super) async fn wait(self: Arc<Self>) -> Result<()> {
        let group = self.begun();
        if *self.durable.borrow() >= group {
            return Ok(());
        }
        let mut durable = self.durable.subscribe();
        tokio::select! {
            done = durable.wait_for(|durable| *durable >= group) => done.map(drop).map_err(Error::internal),
            () = self.failed.cancelled() => Err(writes_stopped()),
        }
    }
}

/// What the thread works with.
pub(super) struct SyncContext {
    pub(super) wal: WalFile,
    pub(super) durability: Arc<Durability>,
    pub(super) archive: Option<Arc<WalArchive>>,
    pub(super) clock: Clock,
    /// The runtime of the callers.
    pub(super) runtime: Option<Handle>,
    /// Notified after each durable commit that emitted events.
    pub(super) committed: Arc<Notify>,
    /// See [`COMMIT_DURATION`](crate::infra::metrics::COMMIT_DURATION).
    pub(super) durations: Histogram,
}

pub(super) struct Syncer {
    syncing: Arc<SyncContext>,
    queue: Sender<Group>,
    thread: Option<JoinHandle<()>>,
}

impl Syncer {
    pub(super) fn start(syncing: SyncContext) -> Result<Syncer> {
        let (queue, groups) = async_channel::bounded(MAX_WAITING);
        let syncing = Arc::new(syncing);
        let of_thread = Arc::clone(&syncing);
        let thread = std::thread::Builder::new()
            .name("syncer".into())
            .spawn(move || of_thread.run(&groups))
            .map_err(Error::internal)?;
        Ok(Syncer {
            syncing,
            queue,
            thread: Some(thread),
        })
    }

    /// Queues a group. Waits while too many are queued. If none is queued and the writer has nothing else to do, this
    /// syncs the WAL itself.
    pub(super) fn push(&self, group: Group, is_writer_idle: bool) {
        if is_writer_idle && self.syncing.durability.is_next(group.number) {
            return self.syncing.finish(vec![group]);
        }
        if self.queue.send_blocking(group).is_err() {
            tracing::error!("the syncer thread has ended");
        }
    }
}

impl Drop for Syncer {
    /// Waits until all groups are durable.
    fn drop(&mut self) {
        self.queue.close();
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the syncer thread panicked");
        }
    }
}

impl SyncContext {
    fn run(&self, queue: &Receiver<Group>) {
        while let Ok(first) = queue.recv_blocking() {
            let mut groups = vec![first];
            groups.extend(std::iter::from_fn(|| queue.try_recv().ok()));
            self.finish(groups);
        }
    }

    /// Syncs the WAL if one of the groups wrote to it, and sends the results.
    fn finish(&self, groups: Vec<Group>) {
        let Durability {
            durable, failed, ..
        } = &*self.durability;
        if groups.iter().any(|group| group.has_written)
            && !failed.is_cancelled()
            && let Err(error) = self.wal.sync()
        {
            report_failed_fsync(failed, &error);
        }
        if failed.is_cancelled() {
            let operations = groups.into_iter().flat_map(|group| group.operations);
            operations.for_each(|operation| operation.reject(writes_stopped()));
            return;
        }
        let end = groups.iter().rev().find_map(|group| group.end);
        if let (Some(archive), Some(end)) = (&self.archive, end) {
            archive.record(end, self.clock.now());
        }
        let mut has_emitted = false;
        let mut operations = Vec::new();
        for group in groups {
            if let Some(began) = group.commit_began {
                self.durations.record(began.elapsed());
            }
            has_emitted |= group.has_emitted;
            operations.extend(group.operations);
            durable.send_replace(group.number);
        }
        self.reply(operations);
        if has_emitted {
            self.committed.notify_one();
        }
    }

    /// Sends several results from a task of the callers' runtime. Waking callers from there is cheaper than from this
    /// thread, and the next sync starts meanwhile.
    fn reply(&self, operations: Vec<Operation>) {
        let is_group = operations.len() > 1;
        let all = move || operations.into_iter().for_each(Operation::reply);
        match &self.runtime {
            Some(runtime) if is_group => drop(runtime.spawn(async move { all() })),
            _ => all(),
        }
    }
}
