//! The `SQLite` implementation of [`Backend`].

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{FutureExt, future::BoxFuture};
use rusqlite::OptionalExtension;
use tokio::{
    runtime::Handle,
    sync::{Notify, oneshot},
};
use tokio_util::sync::CancellationToken;

use super::{
    checkpoint::{Checkpointer, Checkpoints},
    connection::{failure, run},
    open::{Mode, ReaderManager, open, pool_error, reader_pool, settings},
    syncer::{Durability, SyncContext},
    wal::{self, WalArchive, WalFile},
    writer::Writer,
};
use crate::{
    core::error::Result,
    infra::{
        db::{
            Access, Backend, Connection, Context, Load, Operation, Options, WalArchiving,
            cache::SELECT_OTHER_WRITES,
        },
        metrics::COMMIT_DURATION,
    },
};

/// How many virtual machine instructions of `SQLite` run between two checks of a long read's deadline; a
/// fraction of a millisecond.
const DEADLINE_CHECK_INTERVAL: i32 = 10_000;

pub struct Sqlite {
    readers: r2d2::Pool<ReaderManager>,
    /// A separate pool, so that long reads do not delay short ones.
    long_readers: r2d2::Pool<ReaderManager>,
    long_read_timeout: Duration,
    writer: Writer,
    durability: Arc<Durability>,
    committed: Arc<Notify>,
    failed: CancellationToken,
    wal: PathBuf,
    archive: Option<Arc<WalArchive>>,
}

impl Sqlite {
    /// Opens the file, which [`crate::infra::db::migrate`] must have migrated.
    pub fn open(path: &Path, options: Options, context: &Context) -> Result<Sqlite> {
        let clock = &context.clock;
        let archive = match options.wal_archiving {
            WalArchiving::On => {
                let archive = WalArchive::open(path, clock.clone(), options.lock_timeout)?;
                Some(Arc::new(archive))
            }
            WalArchiving::Off | WalArchiving::Unchanged => None,
        };
        let checkpoints = match &archive {
            Some(archive) => Checkpoints::Archived {
                archive: Arc::clone(archive),
                reader: open(path, options.lock_timeout, Mode::ReadOnly)?,
            },
            None if wal::is_archived(path) => Checkpoints::ByServer,
            None => Checkpoints::Unarchived,
        };
        let committed = Arc::new(Notify::new());
        let connection = open(path, options.lock_timeout, Mode::ReadWrite)?;
        connection
            .pragma_update(None, "cache_size", -options.writer_cache_kib)
            .map_err(failure)?;
        if options.is_server {
            // The syncer makes the commits durable.
            connection
                .pragma_update(None, "synchronous", "normal")
                .map_err(failure)?;
        }
        // Only the checkpointer runs checkpoints.
        connection
            .pragma_update(None, "wal_autocheckpoint", 0)
            .map_err(failure)?;
        let failed = CancellationToken::new();
        let checkpointer = Checkpointer::start(
            open(path, options.lock_timeout, Mode::ReadWrite)?,
            options.checkpoint_pages,
            checkpoints,
            failed.clone(),
        )?;
        let wal_file = WalFile::open(path)?;
        // What an earlier process has committed and not synced can be read from now on.
        wal_file.sync()?;
        let durability = Arc::new(Durability::new(failed.clone()));
        let syncing = SyncContext {
            wal: WalFile::open(path)?,
            durability: Arc::clone(&durability),
            archive: archive.clone(),
            clock: clock.clone(),
            runtime: Handle::try_current().ok(),
            committed: Arc::clone(&committed),
            durations: COMMIT_DURATION.histogram([]),
        };
        let writer = Writer::start(
            connection,
            wal_file,
            checkpointer,
            syncing,
            &options,
            context.cache_tags.clone(),
            failed.clone(),
        )?;
        Ok(Sqlite {
            readers: reader_pool(path, options.lock_timeout, options.readers),
            long_readers: reader_pool(path, options.lock_timeout, options.long_readers),
            long_read_timeout: options.long_read_timeout,
            writer,
            durability,
            committed,
            failed,
            wal: wal::wal_of(path),
            archive,
        })
    }

    /// Returns `journal_mode`, `synchronous` and `foreign_keys` of every connection, the writer's first.
    /// Opens all connections of both pools. For tests.
    pub fn settings(&self) -> Result<Vec<(String, i64, i64)>> {
        let mut all = vec![self.writer.settings()?];
        let mut held = Vec::new();
        for pool in [&self.readers, &self.long_readers] {
            for _ in 0..pool.max_size() {
                let reader = pool.get().map_err(pool_error)?;
                all.push(settings(&reader).map_err(failure)?);
                held.push(reader);
            }
        }
        Ok(all)
    }
}

impl Backend for Sqlite {
    fn read_inline(
        &self,
        work: &mut dyn FnMut(&mut dyn Connection) -> Result<()>,
    ) -> Option<Result<()>> {
        let reader = self.readers.get().map_err(pool_error);
        Some(reader.and_then(|mut reader| in_snapshot(&mut reader, work)))
    }

    fn submit(&self, access: Access, operation: Operation) -> Result<()> {
        match access {
            Access::Write => self.writer.push(operation),
            Access::Read | Access::LongRead(_) => {
                let timeout = match access {
                    Access::LongRead(Some(timeout)) => timeout,
                    _ => self.long_read_timeout,
                };
                let pool = self.long_readers.clone();
                tokio::task::spawn_blocking(move || long_read(&pool, timeout, operation));
                Ok(())
            }
        }
    }

    fn flush_events(&self) -> Option<oneshot::Receiver<()>> {
        None
    }

    fn durable(&self) -> Option<BoxFuture<'static, Result<()>>> {
        Some(Arc::clone(&self.durability).wait().boxed())
    }

    fn other_writes(&self) -> Result<i64> {
        let reader = self.readers.get().map_err(pool_error)?;
        let mut statement = reader
            .prepare_cached(SELECT_OTHER_WRITES)
            .map_err(failure)?;
        let count = statement.query_row([], |row| row.get(0)).optional();
        count.map(Option::unwrap_or_default).map_err(failure)
    }

    fn close(&self) {
        self.writer.close();
    }

    fn committed(&self) -> Arc<Notify> {
        Arc::clone(&self.committed)
    }

    fn load(&self) -> Load {
        let (queued, queue_capacity) = self.writer.queue_length();
        let wal = std::fs::metadata(&self.wal);
        Load {
            queued,
            queue_capacity,
            wal_bytes: Some(wal.map_or(0, |wal| wal.len())),
        }
    }

    fn wal_archive(&self) -> Option<Arc<WalArchive>> {
        self.archive.clone()
    }

    fn failed(&self) -> CancellationToken {
        self.failed.clone()
    }
}

/// Runs a long read. A progress handler interrupts it at its deadline.
fn long_read(pool: &r2d2::Pool<ReaderManager>, timeout: Duration, mut operation: Operation) {
    if operation.is_abandoned() {
        return;
    }
    let started = Instant::now();
    let is_past_deadline = move || started.elapsed() > timeout;
    let result = pool.get().map_err(pool_error).and_then(|mut reader| {
        reader
            .progress_handler(DEADLINE_CHECK_INTERVAL, Some(is_past_deadline))
            .map_err(failure)?;
        let result = in_snapshot(&mut reader, &mut |connection| {
            operation.run(connection);
            Ok(())
        });
        let removed = reader
            .progress_handler(0, None::<fn() -> bool>)
            .map_err(failure);
        result.and(removed)
    });
    match result {
        Ok(()) => operation.reply(),
        Err(error) => operation.reject(error),
    }
}

/// Runs `work` in a read transaction. If BEGIN or COMMIT fails, the pool discards the connection.
fn in_snapshot(
    reader: &mut rusqlite::Connection,
    work: &mut dyn FnMut(&mut dyn Connection) -> Result<()>,
) -> Result<()> {
    run(reader, "BEGIN")?;
    let result = work(reader);
    run(reader, "COMMIT")?;
    result
}
