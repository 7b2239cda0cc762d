//! The storage seam: [`Db::read`] and [`Db::write`] run a plain function over a [`Tx`].
//!
//! An operation is written once, in SQL that every engine takes; beneath it stands a `Backend`,
//! chosen once. `write` answers only after the commit is durable. A closure holds a [`Tx`] and no
//! [`Db`], so that nothing nests and nothing outside can be awaited inside a transaction. Nothing
//! here knows a word of the shop.

mod job;
mod location;
pub mod migrate;
pub mod postgres;
mod queue;
mod slots;
mod sql;
pub mod sqlite;
pub mod transfer;
mod tx;
mod value;

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

use self::slots::{Slot, Slots};
pub(crate) use self::{
    job::Job,
    tx::{Connection, UNSEQUENCED_EVENTS},
    value::Cells,
};
pub use self::{
    job::Outcome,
    location::Location,
    postgres::Postgres,
    sql::{Sql, placeholders},
    sqlite::Sqlite,
    tx::{Tx, count_up, ping, set_setting, setting, setting_for_update, try_claim_timer},
    value::{Cell, Column, Row, Value, params},
};
use crate::core::{
    clock::Clock,
    error::{Error, Result},
    rng::Rng,
};

/// What a job may do, and how long it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// A snapshot, for what takes microseconds.
    Read,
    /// A snapshot, for what may take long: broken off after this, or after [`Options::scan`].
    LongRead(Option<Duration>),
    /// A transaction.
    Write,
}

/// A read that takes longer than this is broken off, where nothing else is said.
const SCAN_LIMIT: Duration = Duration::from_secs(10);

/// How an engine is set up. The defaults serve; tests make them small.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How many jobs may wait; past it one is refused as unavailable.
    pub queue: usize,
    /// How many connections serve what is short.
    pub readers: u32,
    /// How many connections read what takes long.
    pub scanners: u32,
    /// How many of them serve one client network at a time.
    pub scanners_per_client: usize,
    /// How long a job waits for the lock of another program, from its arrival on.
    pub busy: Duration,
    /// How long a read that may take long may take.
    pub scan: Duration,
    /// From how many pages on `SQLite`'s log is folded into the file.
    pub log: i64,
    /// How many KiB of the file `SQLite`'s writer keeps.
    pub cache: i64,
    /// The mark of the folder that all programs on one database must share; one with another mark
    /// cannot join them.
    pub folder: Option<i32>,
}

impl Default for Options {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Options {
            queue: 1024,
            readers: 16,
            scanners: 4,
            // One network keeps at most half of the cores busy.
            scanners_per_client: (cores / 2).clamp(1, 3),
            busy: Duration::from_secs(5),
            scan: SCAN_LIMIT,
            // 64 MiB: pages that are written again and again are copied into the file once.
            log: 16_000,
            // Each commit walks all pages that are kept, where it moved any: few, the system has the rest.
            cache: 8_192,
            folder: None,
        }
    }
}

/// An engine with its connections.
pub(crate) trait Backend: Send + Sync + 'static {
    /// Runs a short read on a snapshot and on the caller's thread, where the engine answers within
    /// this process; none: the read is to be submitted.
    fn read_inline(
        &self,
        work: &mut dyn FnMut(&mut dyn Connection) -> Result<()>,
    ) -> Option<Result<()>>;

    /// Takes a job over; the job answers its caller by itself, a write after the commit.
    fn submit(&self, access: Access, job: Box<dyn Job>) -> Result<()>;

    /// Answers once every event that is committed now has its number; none: it has.
    fn flush_events(&self) -> Option<oneshot::Receiver<()>>;

    /// Finishes the jobs that wait and refuses new ones.
    fn close(&self);

    /// Woken after commits that emitted events.
    fn committed(&self) -> Arc<Notify>;

    /// Cancelled once the engine takes no more writes until the next start.
    fn failed(&self) -> CancellationToken {
        CancellationToken::new()
    }
}

/// One database, shared by all who clone it.
#[derive(Clone)]
pub struct Db {
    backend: Arc<dyn Backend>,
    clock: Clock,
    rng: Rng,
    committed: Arc<Notify>,
    failed: CancellationToken,
    slots: Slots,
    /// How long a long read waits for a slot.
    scan_timeout: Duration,
}

impl Db {
    /// Opens the database at `location`, made and brought to this program's schema if need be.
    pub async fn open(location: Location, options: Options, clock: Clock, rng: Rng) -> Result<Db> {
        // Opening waits for disks and networks.
        tokio::task::spawn_blocking(move || match location {
            Location::Sqlite(path) => {
                migrate::sqlite(&path)?;
                let sqlite = Sqlite::open(&path, options)?;
                Ok(Db::new(sqlite, options, clock, rng))
            }
            Location::Postgres(target) => {
                migrate::postgres(&target)?;
                let postgres = Postgres::open(*target, options)?;
                Ok(Db::new(postgres, options, clock, rng))
            }
        })
        .await
        .map_err(Error::internal)?
    }

    fn new(engine: impl Backend, options: Options, clock: Clock, rng: Rng) -> Db {
        let (committed, failed) = (engine.committed(), engine.failed());
        Db {
            backend: Arc::new(engine),
            clock,
            rng,
            committed,
            failed,
            slots: Slots::new(options.scanners as usize, options.scanners_per_client),
            scan_timeout: options.scan,
        }
    }

    /// Runs `work` on a consistent snapshot: for what takes microseconds.
    pub async fn read<T, F>(&self, name: &'static str, mut work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        let mut answer = None;
        let here = self.backend.read_inline(&mut |connection| {
            answer = Some(work(&mut self.tx(connection))?);
            Ok(())
        });
        match here {
            Some(done) => {
                done.inspect_err(|error| tracing::trace!(name, ?error, "read failed"))?;
                answer.ok_or_else(|| Error::internal("a read gave no answer"))
            }
            None => self.submit(Access::Read, name, work).await,
        }
    }

    /// Runs `work` on a consistent snapshot and on a thread for reading, with the deadline of
    /// [`Options::scan`]: for what may take long, for the program itself and for admins.
    pub async fn long_read<T, F>(&self, name: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        let slot = self.slots.enter(None, self.scan_timeout).await?;
        self.scan_in(slot, None, name, work).await
    }

    /// As [`Db::long_read`], for a client network, which waits only behind its own long reads where others
    /// wait, too. `limit` bounds waiting and reading together. `None`: networks are not told apart.
    ///
    /// Errors: `unavailable` where it takes longer.
    pub async fn long_read_for<T, F>(
        &self,
        network: Option<IpAddr>,
        limit: Duration,
        name: &'static str,
        work: F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        let started = Instant::now();
        let slot = self.slots.enter(network, limit).await?;
        let rest = limit.saturating_sub(started.elapsed());
        self.scan_in(slot, Some(rest), name, work).await
    }

    async fn scan_in<T, F>(
        &self,
        slot: Slot,
        limit: Option<Duration>,
        name: &'static str,
        mut work: F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        // The work holds the slot: a caller that goes away does not free it before its end.
        let work = move |tx: &mut Tx<'_>| {
            let _slot = &slot;
            work(tx)
        };
        self.submit(Access::LongRead(limit), name, work).await
    }

    /// Runs `work` in a transaction and answers once it is durable. `work` runs again, from the
    /// start and with a fresh `now`, if another job of its group fails or the engine asks for it.
    pub async fn write<T, F>(&self, name: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        self.submit(Access::Write, name, work).await
    }

    async fn submit<T, F>(&self, access: Access, name: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let (clock, rng) = (self.clock.clone(), self.rng.clone());
        let job = job::Operation::boxed(name, work, reply, clock, rng);
        self.backend.submit(access, job)?;
        answer
            .await
            .map_err(|_| Error::unavailable("the server is stopping; try again"))?
    }

    /// Waits until every event that is committed now can be read under its number.
    pub async fn flush_events(&self) -> Result<()> {
        let Some(settled) = self.backend.flush_events() else {
            return Ok(());
        };
        settled
            .await
            .map_err(|_| Error::unavailable("the connection to the database was lost; try again"))
    }

    /// Wakes after commits that emitted events, in this process.
    pub(crate) async fn committed(&self) {
        self.committed.notified().await;
    }

    /// Cancelled once a sync to the disk has failed. Nothing is written from then on: the kernel may report
    /// the next sync as a success without the lost pages. A new start reads what is really on the disk.
    pub fn failed(&self) -> &CancellationToken {
        &self.failed
    }

    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Finishes what waits, refuses what comes, and returns when the files are at rest.
    pub async fn close(&self) {
        let backend = Arc::clone(&self.backend);
        if let Err(error) = tokio::task::spawn_blocking(move || backend.close()).await {
            tracing::error!(%error, "the database did not close");
        }
    }

    fn tx<'a>(&'a self, connection: &'a mut dyn Connection) -> Tx<'a> {
        Tx::new(connection, self.clock.now(), &self.rng)
    }
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Db")
    }
}
