//! The writer thread: takes queued operations in batches and commits each batch (see
//! [`super::group_commit`]).
//!
//! When the thread becomes free, the operations that wait form the next batch, up to a maximum. The thread never waits
//! for a batch to fill, and no operation joins a running batch.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};

use async_channel::{Receiver, Sender};
use rusqlite::Connection;
use tokio_util::sync::CancellationToken;

use super::{
    checkpoint::{Checkpointer, checkpoint},
    connection::failure,
    group_commit::GroupCommit,
    syncer::{SyncContext, Syncer},
    wal::WalFile,
    writer_connection::WriterConnection,
};
use crate::{
    core::error::{Error, Result},
    infra::db::{Operation, Options, cache::CacheTags, queue},
};

/// The maximum size of a batch. Larger ones would save little, since one fsync covers several batches, and reduce
/// concurrency: the callers of a batch send their next requests while the writer runs the next one.
const MAX_BATCH: usize = 24;

type Inspection = Box<dyn FnOnce(&Connection) + Send>;

enum Message {
    Operation(Operation),
    /// A function that inspects the connection between two batches.
    Inspect(Inspection),
}

pub(super) struct Writer {
    queue: Sender<Message>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub(super) fn start(
        connection: Connection,
        wal: WalFile,
        checkpointer: Checkpointer,
        syncing: SyncContext,
        options: &Options,
        cache_tags: Option<Arc<CacheTags>>,
        failed: CancellationToken,
    ) -> Result<Writer> {
        let (queue, receiver) = async_channel::bounded(options.queue_capacity);
        let lock_timeout = options.lock_timeout;
        let durability = Arc::clone(&syncing.durability);
        let syncer = Syncer::start(syncing)?;
        let thread = std::thread::Builder::new()
            .name("writer".into())
            .spawn(move || {
                let group_commit = GroupCommit::new(
                    WriterConnection::new(&connection, failed.clone()),
                    wal,
                    syncer,
                    durability,
                    cache_tags,
                    lock_timeout,
                );
                let final_checkpoint = checkpointer.runs_final_checkpoint();
                serve(group_commit, checkpointer, &receiver);
                if final_checkpoint && !failed.is_cancelled() {
                    checkpoint(&connection, &failed);
                }
                if failed.is_cancelled() {
                    // Closing the last connection runs a checkpoint and deletes the WAL. After a failed fsync
                    // that could write lost pages into the database file, so the connection stays open.
                    std::mem::forget(connection);
                }
            })
            .map_err(Error::internal)?;
        Ok(Writer {
            queue,
            thread: Mutex::new(Some(thread)),
        })
    }

    pub(super) fn push(&self, operation: Operation) -> Result<()> {
        self.send(Message::Operation(operation))
    }

    /// See [`super::Sqlite::settings`].
    pub(super) fn settings(&self) -> Result<(String, i64, i64)> {
        let (reply, settings) = std::sync::mpsc::channel();
        self.send(Message::Inspect(Box::new(move |connection| {
            drop(reply.send(super::open::settings(connection).map_err(failure)));
        })))?;
        settings.recv().map_err(Error::internal)?
    }

    /// Returns how many operations wait, and how many may.
    pub(super) fn queue_length(&self) -> (usize, usize) {
        queue::length(&self.queue)
    }

    fn send(&self, message: Message) -> Result<()> {
        let full = "too many writes are waiting; try again";
        queue::push(&self.queue, message, full)
    }

    /// Rejects new operations, finishes the queued ones, runs a checkpoint unless the WAL is archived, and ends the thread.
    pub(super) fn close(&self) {
        self.queue.close();
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(Err(_)) = thread.map(JoinHandle::join) {
            tracing::error!("the writer thread panicked");
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
    }
}

/// Commits batches until the queue is closed and empty, and their results are sent.
fn serve(
    mut group_commit: GroupCommit<'_>,
    mut checkpointer: Checkpointer,
    queue: &Receiver<Message>,
) {
    let mut batch = Vec::with_capacity(MAX_BATCH);
    while let Ok(first) = queue.recv_blocking() {
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Operation(operation) => batch.push(operation),
                Message::Inspect(inspect) => inspect(group_commit.connection.connection),
            }
            next = if batch.len() < MAX_BATCH {
                queue.try_recv().ok()
            } else {
                None
            };
        }
        group_commit.commit(std::mem::take(&mut batch), &|| queue.is_empty());
        if !group_commit.connection.has_failed() {
            let wal_pages = group_commit.wal_pages();
            checkpointer.run_if_due(&mut group_commit.connection, wal_pages);
        }
    }
}
