//! WAL checkpoints: copies committed pages from the WAL into the database file, so that the WAL does not grow
//! without bound.
//!
//! `SQLite`'s automatic checkpoint would run inside a commit and delay its callers. Instead the writer checks
//! the size of the WAL after each batch. A large checkpoint runs on a separate thread, concurrently with
//! commits. The small remainder runs on the writer itself: only when all pages are copied and no reader uses
//! them does the next commit restart the WAL from its beginning.

use std::{
    sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel},
    thread::JoinHandle,
    time::Instant,
};

use metrics::Histogram;
use rusqlite::Connection;
use tokio_util::sync::CancellationToken;

use super::{
    connection::{failure, is_failed_fsync},
    writer_connection::{WriterConnection, report_failed_fsync},
};
use crate::{
    core::error::{Error, Result, chain},
    infra::metrics::CHECKPOINT_DURATION,
};

/// Copies as many pages as possible without waiting for readers or the writer
/// (<https://www.sqlite.org/pragma.html#pragma_wal_checkpoint>).
const PASSIVE: &str = "PRAGMA wal_checkpoint(PASSIVE)";

/// Returns the same counts without copying anything: busy, pages in the WAL, checkpointed pages.
const NOOP: &str = "PRAGMA wal_checkpoint(NOOP)";

/// The checkpoint thread, and the writer's decision when to run it.
pub(super) struct Checkpointer {
    /// A checkpoint is due when the WAL has this many pages.
    threshold: i64,
    wake: Option<SyncSender<()>>,
    done: Receiver<()>,
    thread: Option<JoinHandle<()>>,
    is_running: bool,
    /// The pages in the WAL at the last checkpoint. The next is due only after some growth: if a long-running
    /// reader blocks progress, a checkpoint after every batch would be wasted.
    last_wal_pages: i64,
    durations: Histogram,
}

impl Checkpointer {
    /// Starts the thread, which uses `connection`.
    pub(super) fn start(
        connection: Connection,
        threshold: i64,
        failed: CancellationToken,
    ) -> Result<Checkpointer> {
        let (wake, wakeups) = sync_channel(1);
        let (finished, done) = sync_channel(1);
        let durations = CHECKPOINT_DURATION.histogram([]);
        let recorded = durations.clone();
        let thread = std::thread::Builder::new()
            .name("checkpoint".into())
            .spawn(move || {
                while wakeups.recv().is_ok() {
                    let started = Instant::now();
                    checkpoint(&connection, &failed);
                    recorded.record(started.elapsed());
                    if finished.send(()).is_err() {
                        break;
                    }
                }
            })
            .map_err(Error::internal)?;
        Ok(Checkpointer {
            threshold,
            wake: Some(wake),
            done,
            thread: Some(thread),
            is_running: false,
            last_wal_pages: 0,
            durations,
        })
    }

    /// Starts or runs a checkpoint if the WAL is long enough. The writer calls this between two batches.
    pub(super) fn run_if_due(&mut self, writer: &mut WriterConnection<'_>) {
        if let Err(error) = self.try_run_if_due(writer) {
            tracing::warn!(error = %chain(&error), "WAL checkpoint failed");
        }
    }

    fn try_run_if_due(&mut self, writer: &mut WriterConnection<'_>) -> Result<()> {
        let (wal_pages, checkpointed) = wal_status(writer, NOOP)?;
        if self.is_running {
            match self.done.try_recv() {
                Err(TryRecvError::Empty) if wal_pages < 4 * self.threshold => return Ok(()),
                // The checkpoint cannot keep up with the writer, so the writer waits for it.
                Err(TryRecvError::Empty) => drop(self.done.recv()),
                Ok(()) | Err(TryRecvError::Disconnected) => {}
            }
            self.is_running = false;
        }
        if wal_pages < self.last_wal_pages {
            // The WAL was restarted.
            self.last_wal_pages = 0;
        }
        if wal_pages
            < self
                .threshold
                .max(self.last_wal_pages + self.threshold / 16)
        {
            return Ok(());
        }
        self.last_wal_pages = wal_pages;
        let is_small = wal_pages - checkpointed <= self.threshold / 8;
        self.is_running = !is_small && self.wake.as_ref().is_some_and(|it| it.send(()).is_ok());
        if !self.is_running {
            let started = Instant::now();
            wal_status(writer, PASSIVE)?;
            self.durations.record(started.elapsed());
        }
        Ok(())
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        drop(self.wake.take());
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the checkpoint thread panicked");
        }
    }
}

/// Runs a passive checkpoint.
pub(super) fn checkpoint(connection: &Connection, failed: &CancellationToken) {
    let done = connection
        .query_row(PASSIVE, [], |_| Ok(()))
        .map_err(failure);
    match done {
        Err(error) if is_failed_fsync(&error) => report_failed_fsync(failed, &error),
        Err(error) => tracing::warn!(error = %chain(&error), "WAL checkpoint failed"),
        Ok(()) => {}
    }
}

/// Runs a checkpoint pragma. Returns the pages in the WAL, and how many of them are checkpointed.
fn wal_status(writer: &mut WriterConnection<'_>, pragma: &str) -> Result<(i64, i64)> {
    let mut pages = (0, 0);
    writer.pragma(pragma, &mut |row| {
        pages = (row.get("log")?, row.get("checkpointed")?);
        Ok(true)
    })?;
    Ok(pages)
}
