//! The `SQLite` engine: one file, one writer that commits in groups, many readers that never wait
//! for it (<https://www.sqlite.org/wal.html>).

mod connection;
mod folding;
mod pace;
mod writer;
mod writing;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use rusqlite::{OpenFlags, config::DbConfig};
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

pub(super) use self::connection::run;
use self::{connection::failure, folding::Folding, writer::Writer};
use super::{Access, Backend, Connection, Job, Options};
use crate::core::error::{Error, Kind, Result};

/// Before 3.51.3 a WAL that is reset at the wrong moment can lose a commit
/// (<https://www.sqlite.org/wal.html#the_wal_reset_bug>): refuse to build on it.
const _: () = assert!(
    rusqlite::ffi::SQLITE_VERSION_NUMBER >= 3_051_003,
    "SQLite 3.51.3 or later is needed: earlier ones have the WAL-reset bug"
);

/// How long a read waits for a connection.
const CHECKOUT: Duration = Duration::from_secs(5);

/// After so many steps of its machine a long read looks at the clock: a fraction of a millisecond.
const STEPS: i32 = 10_000;

pub struct Sqlite {
    readers: r2d2::Pool<Readers>,
    /// Apart from the readers, so that no long read keeps a short one waiting.
    scanners: r2d2::Pool<Readers>,
    scan_limit: Duration,
    writer: Writer,
    committed: Arc<Notify>,
    failed: CancellationToken,
}

impl Sqlite {
    /// Opens the file, or makes it. The schema is [`super::migrate`]'s.
    pub fn open(path: &Path, options: Options) -> Result<Sqlite> {
        let committed = Arc::new(Notify::new());
        let writing = open(path, options.busy, true).map_err(|e| cannot_open(path, e))?;
        writing
            .pragma_update(None, "cache_size", -options.cache)
            .map_err(failure)?;
        // The log is folded by nobody else.
        writing
            .pragma_update(None, "wal_autocheckpoint", 0)
            .map_err(failure)?;
        let beside = open(path, options.busy, true).map_err(|e| cannot_open(path, e))?;
        let failed = CancellationToken::new();
        let folding = Folding::start(beside, options.log, failed.clone())?;
        let told = Arc::clone(&committed);
        let writer = Writer::start(writing, folding, &options, told, failed.clone())?;
        let pool = |size| {
            r2d2::Pool::builder()
                .max_size(size)
                .min_idle(Some(0))
                .test_on_check_out(false)
                .connection_timeout(CHECKOUT)
                .idle_timeout(None)
                .max_lifetime(None)
                .build_unchecked(Readers {
                    path: path.to_owned(),
                    busy: options.busy,
                })
        };
        let (readers, scanners) = (pool(options.readers), pool(options.scanners));
        Ok(Sqlite {
            readers,
            scanners,
            scan_limit: options.scan,
            writer,
            committed,
            failed,
        })
    }

    /// What every connection says of its own settings, the writer's first: journal mode,
    /// `synchronous`, `foreign_keys`. Opens all readers that may be open.
    pub fn settings(&self) -> Result<Vec<(String, i64, i64)>> {
        let mut all = vec![self.writer.settings()?];
        let mut held = Vec::new();
        for pool in [&self.readers, &self.scanners] {
            for _ in 0..pool.max_size() {
                let reader = pool.get().map_err(busy)?;
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
        let reader = self.readers.get().map_err(busy);
        Some(reader.and_then(|mut reader| snapshot(&mut reader, work)))
    }

    fn submit(&self, access: Access, job: Box<dyn Job>) -> Result<()> {
        match access {
            Access::Write => self.writer.push(job),
            Access::Read | Access::LongRead(_) => {
                let limit = match access {
                    Access::LongRead(Some(limit)) => limit,
                    _ => self.scan_limit,
                };
                let scanners = self.scanners.clone();
                tokio::task::spawn_blocking(move || scan(&scanners, limit, job));
                Ok(())
            }
        }
    }

    fn flush_events(&self) -> Option<oneshot::Receiver<()>> {
        None
    }

    fn close(&self) {
        self.writer.close();
    }

    fn committed(&self) -> Arc<Notify> {
        Arc::clone(&self.committed)
    }

    fn failed(&self) -> CancellationToken {
        self.failed.clone()
    }
}

/// Runs a read that may take long, and breaks it off at its deadline.
fn scan(scanners: &r2d2::Pool<Readers>, limit: Duration, mut job: Box<dyn Job>) {
    if job.is_abandoned() {
        return;
    }
    let started = Instant::now();
    let is_over = move || started.elapsed() > limit;
    let done = scanners.get().map_err(busy).and_then(|mut reader| {
        reader
            .progress_handler(STEPS, Some(is_over))
            .map_err(failure)?;
        let done = snapshot(&mut reader, &mut |connection| {
            job.run(connection);
            Ok(())
        });
        let lifted = reader
            .progress_handler(0, None::<fn() -> bool>)
            .map_err(failure);
        done.and(lifted)
    });
    match done {
        Ok(()) => job.answer(),
        Err(error) => job.refuse(error),
    }
}

/// Runs `work` on one snapshot. A connection left inside a transaction is thrown away by the pool.
fn snapshot(
    reader: &mut rusqlite::Connection,
    work: &mut dyn FnMut(&mut dyn Connection) -> Result<()>,
) -> Result<()> {
    run(reader, "BEGIN")?;
    let answer = work(reader);
    run(reader, "COMMIT")?;
    answer
}

/// A connection for who has the file to itself.
pub(super) fn lone(path: &Path, writes: bool) -> Result<rusqlite::Connection> {
    open(path, CHECKOUT, writes).map_err(|e| cannot_open(path, e))
}

fn open(path: &Path, busy: Duration, writes: bool) -> rusqlite::Result<rusqlite::Connection> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if writes {
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
    }
    let connection = rusqlite::Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(busy)?;
    // With STAT4 in the build, cached statements would otherwise be planned anew at each binding.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(256);
    connection.pragma_update(None, "journal_mode", "wal")?;
    // FULL: a commit that was acknowledged is on the disk, power loss included.
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", -65_536)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    if writes {
        connection.pragma_update(None, "wal_autocheckpoint", 16_000)?;
    } else {
        connection.pragma_update(None, "query_only", true)?;
    }
    Ok(connection)
}

fn settings(connection: &rusqlite::Connection) -> rusqlite::Result<(String, i64, i64)> {
    let ask = |name| connection.pragma_query_value(None, name, |row| row.get(0));
    Ok((
        connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?,
        ask("synchronous")?,
        ask("foreign_keys")?,
    ))
}

fn cannot_open(path: &Path, error: rusqlite::Error) -> Error {
    let detail = format!("cannot open the database `{}`: {error}", path.display());
    Error::new(Kind::Unavailable, detail).caused_by(error)
}

fn busy(error: r2d2::Error) -> Error {
    Error::unavailable("too many reads at once; try again").caused_by(error)
}

/// Makes and checks the connections that read.
struct Readers {
    path: PathBuf,
    busy: Duration,
}

impl r2d2::ManageConnection for Readers {
    type Connection = rusqlite::Connection;
    type Error = rusqlite::Error;

    fn connect(&self) -> rusqlite::Result<rusqlite::Connection> {
        open(&self.path, self.busy, false)
    }

    fn is_valid(&self, connection: &mut rusqlite::Connection) -> rusqlite::Result<()> {
        connection.execute_batch("")
    }

    fn has_broken(&self, connection: &mut rusqlite::Connection) -> bool {
        !connection.is_autocommit()
    }
}
