//! Folds the log into the database file: beside the writer what is much, by the writer itself the little
//! that is left, so that it begins the log anew. It must never let the log grow without end.

use std::{
    sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel},
    thread::JoinHandle,
};

use rusqlite::Connection;
use tokio_util::sync::CancellationToken;

use super::{
    connection::{failure, is_failed_sync},
    writing::{Writing, report_failed_sync},
};
use crate::core::error::{Error, Result};

/// Folds what no reader needs any more, and waits for nobody
/// (<https://www.sqlite.org/pragma.html#pragma_wal_checkpoint>).
const FOLD: &str = "PRAGMA wal_checkpoint(PASSIVE)";

/// The same answer without doing anything: whether it was busy, the log's pages, and those folded.
const COUNT: &str = "PRAGMA wal_checkpoint(NOOP)";

pub(super) struct Folding {
    /// From so many pages on the log is folded.
    pages: i64,
    wake: Option<SyncSender<()>>,
    done: Receiver<()>,
    thread: Option<JoinHandle<()>>,
    is_under_way: bool,
    /// How long the log was when folding was last asked for: where readers stand in the way it is not asked
    /// for after every group.
    asked_at: i64,
}

impl Folding {
    /// `connection` is that of the thread beside the writer.
    pub(super) fn start(
        connection: Connection,
        pages: i64,
        failed: CancellationToken,
    ) -> Result<Folding> {
        let (wake, asked) = sync_channel(1);
        let (tell, done) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("folding".into())
            .spawn(move || {
                while asked.recv().is_ok() {
                    fold(&connection, &failed);
                    if tell.send(()).is_err() {
                        break;
                    }
                }
            })
            .map_err(Error::internal)?;
        Ok(Folding {
            pages,
            wake: Some(wake),
            done,
            thread: Some(thread),
            is_under_way: false,
            asked_at: 0,
        })
    }

    /// Has the log folded if it is long; between two groups.
    pub(super) fn look(&mut self, writing: &mut Writing<'_>) {
        if let Err(error) = self.fold(writing) {
            tracing::warn!(?error, "WAL checkpoint failed");
        }
    }

    fn fold(&mut self, writing: &mut Writing<'_>) -> Result<()> {
        let (log, folded) = counts(writing, COUNT)?;
        if self.is_under_way {
            match self.done.try_recv() {
                Err(TryRecvError::Empty) if log < 4 * self.pages => return Ok(()),
                // It does not keep up: the writer waits for it.
                Err(TryRecvError::Empty) => drop(self.done.recv()),
                Ok(()) | Err(TryRecvError::Disconnected) => {}
            }
            self.is_under_way = false;
        }
        if log < self.asked_at {
            // It has begun anew.
            self.asked_at = 0;
        }
        if log < self.pages.max(self.asked_at + self.pages / 16) {
            return Ok(());
        }
        self.asked_at = log;
        let is_little = log - folded <= self.pages / 8;
        self.is_under_way = !is_little && self.wake.as_ref().is_some_and(|it| it.send(()).is_ok());
        if !self.is_under_way {
            counts(writing, FOLD)?;
        }
        Ok(())
    }
}

impl Drop for Folding {
    fn drop(&mut self) {
        drop(self.wake.take());
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the thread that folds the log panicked");
        }
    }
}

/// Copies the log into the database file, as far as readers allow.
pub(super) fn fold(connection: &Connection, failed: &CancellationToken) {
    let done = connection.query_row(FOLD, [], |_| Ok(())).map_err(failure);
    match done {
        Err(error) if is_failed_sync(&error) => report_failed_sync(failed, &error),
        Err(error) => tracing::warn!(?error, "WAL checkpoint failed"),
        Ok(()) => {}
    }
}

/// The log's pages and those that are folded, as the pragma tells them.
fn counts(writing: &mut Writing<'_>, pragma: &str) -> Result<(i64, i64)> {
    let mut counts = (0, 0);
    writing.ask(pragma, &mut |row| {
        counts = (row.get(1)?, row.get(2)?);
        Ok(true)
    })?;
    Ok(counts)
}
