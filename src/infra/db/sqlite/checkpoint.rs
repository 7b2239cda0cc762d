//! WAL checkpoints: copies committed pages from the WAL into the database file, so that the WAL does not grow
//! without bound.
//!
//! `SQLite`'s automatic checkpoint would run inside a commit and delay its callers. Instead the writer checks
//! the size of the WAL after each batch. A large checkpoint runs on a separate thread, concurrently with
//! commits. The small remainder runs on the writer itself: only when all pages are copied and no reader uses
//! them does the next commit restart the WAL from its beginning.
//!
//! If the WAL is archived, the last checkpoint before a restart first sets aside the frames that the archiver has not
//! read. Until then a read transaction prevents the restart.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, TryRecvError, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use metrics::Histogram;
use rusqlite::Connection;
use tokio_util::sync::CancellationToken;

use super::{
    connection::{failure, is_failed_fsync, run},
    wal::WalArchive,
    writer_connection::{WriterConnection, report_failed_fsync},
};
use crate::{
    core::error::{Error, Result, chain},
    infra::metrics::CHECKPOINT_DURATION,
};

/// Copies as many pages as possible without waiting for readers or the writer
/// (<https://www.sqlite.org/pragma.html#pragma_wal_checkpoint>).
const PASSIVE: &str = "PRAGMA wal_checkpoint(PASSIVE)";

/// Copies nothing, and returns the same counts as a checkpoint: busy, pages in the WAL, checkpointed pages.
pub(super) const NOOP: &str = "PRAGMA wal_checkpoint(NOOP)";

/// How long the writer waits for another process before it puts a checkpoint off.
const WRITE_LOCK_TIMEOUT: Duration = Duration::from_millis(100);

/// How many frames may be set aside while the writer waits: 8 MiB. While more are not archived, the restart is put off, so
/// that the archiver can catch up, until the WAL has [`MAX_GROWTH`] times its usual length.
const MAX_BACKLOG: u32 = 2048;

/// How many times as long as usual the WAL may become while a checkpoint or the archiver catches up.
const MAX_GROWTH: i64 = 4;

/// Who runs checkpoints, and what comes before a restart of the WAL.
pub(super) enum Checkpoints {
    Unarchived,
    Archived {
        archive: Arc<WalArchive>,
        /// Holds the read transaction that prevents a restart.
        reader: Connection,
    },
    /// The server that archives the WAL runs them.
    ByServer,
}

/// What the thread does next.
enum Step {
    /// A checkpoint during commits.
    Concurrent,
    /// The checkpoint after which the WAL may be restarted. The writer waits, and holds the write lock.
    BeforeRestart,
}

/// The checkpoint thread, and the writer's decision when to run it.
pub(super) struct Checkpointer {
    /// A checkpoint is due when the WAL has this many pages.
    threshold: i64,
    archive: Option<Arc<WalArchive>>,
    runs_checkpoints: bool,
    wake: Option<SyncSender<Step>>,
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
        checkpoints: Checkpoints,
        failed: CancellationToken,
    ) -> Result<Checkpointer> {
        let archive = match &checkpoints {
            Checkpoints::Archived { archive, .. } => Some(Arc::clone(archive)),
            Checkpoints::Unarchived | Checkpoints::ByServer => None,
        };
        let runs_checkpoints = !matches!(checkpoints, Checkpoints::ByServer);
        let (wake, wakeups) = sync_channel(1);
        let (finished, done) = sync_channel(1);
        let durations = CHECKPOINT_DURATION.histogram([]);
        let recorded = durations.clone();
        let thread = std::thread::Builder::new()
            .name("checkpoint".into())
            .spawn(move || {
                while let Ok(step) = wakeups.recv() {
                    let started = Instant::now();
                    match checkpoints.prepare(&step) {
                        Ok(()) => checkpoint(&connection, &failed),
                        Err(error) => {
                            tracing::warn!(error = %chain(&error), "WAL checkpoint failed");
                        }
                    }
                    recorded.record(started.elapsed());
                    if finished.send(()).is_err() {
                        break;
                    }
                }
            })
            .map_err(Error::internal)?;
        Ok(Checkpointer {
            threshold,
            archive,
            runs_checkpoints,
            wake: Some(wake),
            done,
            thread: Some(thread),
            is_running: false,
            last_wal_pages: 0,
            durations,
        })
    }

    /// Whether the writer runs a checkpoint before it closes the database.
    pub(super) fn runs_final_checkpoint(&self) -> bool {
        self.runs_checkpoints && self.archive.is_none()
    }

    /// Starts or runs a checkpoint if the WAL is long enough. The writer calls this between two batches.
    pub(super) fn run_if_due(&mut self, writer: &mut WriterConnection<'_>, wal: WalPages) {
        if !self.runs_checkpoints {
            return;
        }
        if let Err(error) = self.try_run_if_due(writer, wal) {
            tracing::warn!(error = %chain(&error), "WAL checkpoint failed");
        }
    }

    fn try_run_if_due(
        &mut self,
        writer: &mut WriterConnection<'_>,
        WalPages {
            all: wal_pages,
            checkpointed,
        }: WalPages,
    ) -> Result<()> {
        if self.is_running {
            match self.done.try_recv() {
                Err(TryRecvError::Empty) if wal_pages < MAX_GROWTH * self.threshold => {
                    return Ok(());
                }
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
        let archive = self.archive.as_ref();
        let archive_behind = archive.filter(|archive| archive.backlog() > MAX_BACKLOG);
        if let Some(archive) = archive_behind {
            archive.hurry();
        }
        let is_behind = archive_behind.is_some();
        // What is left takes the writer little time. After large transactions too much is left each time, and the writer
        // has to wait, or the WAL would never be restarted.
        let is_small = wal_pages - checkpointed <= self.threshold / 8;
        let is_too_long = wal_pages >= MAX_GROWTH * self.threshold;
        self.is_running = !is_small && !is_too_long && self.start_step(Step::Concurrent);
        if self.is_running {
            return Ok(());
        }
        if self.archive.is_some() {
            if is_behind && !is_too_long {
                return Ok(());
            }
            return self.run_before_restart(writer);
        }
        let started = Instant::now();
        wal_checkpoint(writer, PASSIVE)?;
        self.durations.record(started.elapsed());
        Ok(())
    }

    /// Lets the thread set frames aside and run the last checkpoint. The write lock keeps other processes from
    /// committing in between.
    fn run_before_restart(&self, writer: &mut WriterConnection<'_>) -> Result<()> {
        writer.begin(WRITE_LOCK_TIMEOUT)?;
        if self.start_step(Step::BeforeRestart) {
            // An error means that the thread has ended.
            let _ = self.done.recv();
        }
        writer.control("ROLLBACK")
    }

    fn start_step(&self, step: Step) -> bool {
        self.wake.as_ref().is_some_and(|it| it.send(step).is_ok())
    }
}

impl Checkpoints {
    /// Prevents or permits a restart of the WAL. The thread calls it before a checkpoint.
    fn prepare(&self, step: &Step) -> Result<()> {
        let Checkpoints::Archived { archive, reader } = self else {
            return Ok(());
        };
        if matches!(step, Step::BeforeRestart) {
            archive.set_aside()?;
        }
        if !reader.is_autocommit() {
            run(reader, "COMMIT")?;
        }
        if matches!(step, Step::Concurrent) {
            // Commits have followed the last checkpoint, so this transaction reads from the WAL, which cannot be
            // restarted until the transaction ends (https://www.sqlite.org/wal.html#concurrency).
            run(reader, "BEGIN")?;
            let read = "SELECT count(*) FROM sqlite_schema";
            reader.query_row(read, [], |_| Ok(())).map_err(failure)?;
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

/// The pages in the WAL, and how many of them are checkpointed.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct WalPages {
    pub(super) all: i64,
    pub(super) checkpointed: i64,
}

/// Runs a checkpoint pragma, e.g. [`NOOP`].
pub(super) fn wal_checkpoint(writer: &mut WriterConnection<'_>, pragma: &str) -> Result<WalPages> {
    let mut pages = WalPages::default();
    writer.pragma(pragma, &mut |row| {
        pages = WalPages {
            all: row.get("log")?,
            checkpointed: row.get("checkpointed")?,
        };
        Ok(true)
    })?;
    Ok(pages)
}
