//! The database handle: runs operations in transactions.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

use super::{
    Access, Backend, CacheTag, CacheVersion, Context, Load, Location, Options, Postgres, Sqlite,
    Tx,
    cache::CacheTags,
    fair_semaphore::{FairSemaphore, Permit},
    migrate,
    operation::{Operation, Output, Work},
    sqlite::wal::{self, WalArchive},
};
use crate::core::{
    clock::Clock,
    error::{Error, Result, chain},
    shop_settings::ShopSettings,
};

/// A handle to one database. Clones share its connections.
#[derive(Clone)]
pub struct Db {
    backend: Arc<dyn Backend>,
    context: Arc<Context>,
    committed: Arc<Notify>,
    failed: CancellationToken,
    long_reads: FairSemaphore,
    /// How long a long read waits for a permit.
    permit_timeout: Duration,
}

impl Db {
    /// Opens the database at `location`. Creates the `SQLite` file if missing, and runs pending migrations.
    pub async fn open(location: Location, options: Options, mut context: Context) -> Result<Db> {
        // Opening blocks on disk and network.
        tokio::task::spawn_blocking(move || {
            if let Location::Sqlite(path) = &location {
                wal::prepare(path, options.wal_archiving)?;
            }
            migrate::run(&location)?;
            match location {
                Location::Sqlite(path) => {
                    if options.is_server {
                        context.cache_tags = Some(Arc::new(CacheTags::new()));
                    }
                    let sqlite = Sqlite::open(&path, options, &context)?;
                    Ok(Db::new(sqlite, options, context))
                }
                Location::Postgres(target) => {
                    let postgres = Postgres::open(*target, options)?;
                    Ok(Db::new(postgres, options, context))
                }
            }
        })
        .await
        .map_err(Error::internal)?
    }

    fn new(engine: impl Backend, options: Options, context: Context) -> Db {
        let (committed, failed) = (engine.committed(), engine.failed());
        Db {
            backend: Arc::new(engine),
            context: Arc::new(context),
            committed,
            failed,
            long_reads: FairSemaphore::new(
                options.long_readers as usize,
                options.long_reads_per_client,
            ),
            permit_timeout: options.long_read_timeout,
        }
    }

    /// Runs a read-only operation that takes microseconds. It sees one consistent snapshot.
    ///
    /// On `SQLite` it runs on the caller's thread, so it must not be used for long reads.
    pub async fn read<T, F>(&self, name: &'static str, mut work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        let mut result = None;
        let inline = span(name).in_scope(|| {
            self.backend.read_inline(&mut |connection| {
                result = Some(work(&mut Tx::new(connection, &self.context))?);
                Ok(())
            })
        });
        match inline {
            Some(outcome) => {
                outcome.inspect_err(
                    |error| tracing::trace!(name, error = %chain(error), "read failed"),
                )?;
                result.ok_or_else(|| Error::internal("the read returned no result"))
            }
            None => restore(self.submit(Access::Read, name, erase(work)).await?),
        }
    }

    /// Like [`Db::read`], but returns only what a power loss cannot revoke. On `SQLite` a read may see a commit that
    /// is not synced yet.
    pub async fn read_durable<T, F>(&self, name: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        let result = self.read(name, work).await?;
        if let Some(durable) = self.backend.durable() {
            durable.await?;
        }
        Ok(result)
    }

    /// Runs a read-only operation that may take long, on a separate thread and snapshot. For background tasks
    /// and admins; requests of clients use [`Db::long_read_for`].
    ///
    /// Errors: `unavailable` if it takes longer than [`Options::long_read_timeout`].
    pub async fn long_read<T, F>(&self, name: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        let permit = self.long_reads.acquire(None, self.permit_timeout).await?;
        self.long_read_with(permit, None, name, work).await
    }

    /// Like [`Db::long_read`], for a request of a client network, which gets only its share of the
    /// connections. `limit` bounds waiting and reading together. With `network` `None` there is no share
    /// limit.
    ///
    /// Errors: `unavailable` if it takes longer than `limit`.
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
        let permit = self.long_reads.acquire(network, limit).await?;
        let remaining = limit.saturating_sub(started.elapsed());
        self.long_read_with(permit, Some(remaining), name, work)
            .await
    }

    async fn long_read_with<T, F>(
        &self,
        permit: Permit,
        limit: Option<Duration>,
        name: &'static str,
        mut work: F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        // The closure owns the permit, so that a cancelled caller does not release it before the read ends.
        let work = move |tx: &mut Tx<'_>| {
            let _permit = &permit;
            work(tx)
        };
        restore(
            self.submit(Access::LongRead(limit), name, erase(work))
                .await?,
        )
    }

    /// Runs an operation in a read-write transaction. Returns its result once the commit is durable.
    ///
    /// The closure may run several times, each time in a new transaction with a new `now`: on `SQLite` if
    /// another operation of its group commit fails, on Postgres after a conflict with another transaction or
    /// a lost connection.
    pub async fn write<T, F>(&self, name: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        restore(self.submit(Access::Write, name, erase(work)).await?)
    }

    /// Returns the current version of the database, or `None` if this process caches nothing. A read that follows
    /// returns this version or a newer one.
    pub fn cache_version(&self) -> Result<Option<CacheVersion>> {
        let Some(tags) = &self.context.cache_tags else {
            return Ok(None);
        };
        let (own, others) = (tags.committed(), self.backend.other_writes()?);
        Ok(Some(CacheVersion { own, others }))
    }

    /// Returns whether a result of the version `cached` is still current at the version `current`.
    pub fn is_current(
        &self,
        cached: CacheVersion,
        tags: &[CacheTag],
        current: CacheVersion,
    ) -> bool {
        let invalidated = self.context.cache_tags.as_ref();
        invalidated.is_some_and(|all| all.is_current(cached, tags, current))
    }

    async fn submit(&self, access: Access, name: &'static str, work: Work) -> Result<Output> {
        let (caller, result) = oneshot::channel();
        let context = Arc::clone(&self.context);
        let operation = Operation::new(name, work, caller, context);
        self.backend.submit(access, operation)?;
        result
            .instrument(span(name))
            .await
            .map_err(|_| Error::unavailable("the server is stopping; try again"))?
    }

    /// Waits until every event committed so far has its sequence number and can be read.
    pub async fn flush_events(&self) -> Result<()> {
        let Some(flushed) = self.backend.flush_events() else {
            return Ok(());
        };
        flushed
            .await
            .map_err(|_| Error::unavailable("the connection to the database was lost; try again"))
    }

    /// Waits for the next commit that emitted events.
    pub(crate) async fn committed(&self) {
        self.committed.notified().await;
    }

    /// Returns a token that is cancelled when an fsync fails (`SQLite`). All later writes are rejected: the
    /// kernel may drop the failed pages and report the next fsync as a success. A restart reads what is
    /// really on the disk.
    pub fn failed(&self) -> &CancellationToken {
        &self.failed
    }

    pub fn clock(&self) -> &Clock {
        &self.context.clock
    }

    pub fn settings(&self) -> &ShopSettings {
        &self.context.settings
    }

    /// Returns the WAL to archive, if [`Options::wal_archiving`] is on.
    pub fn wal_archive(&self) -> Option<Arc<WalArchive>> {
        self.backend.wal_archive()
    }

    /// Returns how busy the engine is.
    pub fn load(&self) -> Load {
        self.backend.load()
    }

    /// Finishes queued operations and rejects new ones. On `SQLite` a final checkpoint follows, unless the WAL is
    /// archived.
    pub async fn close(&self) {
        let backend = Arc::clone(&self.backend);
        if let Err(error) = tokio::task::spawn_blocking(move || backend.close()).await {
            tracing::error!(%error, "closing the database failed");
        }
    }
}

fn erase<T, F>(mut work: F) -> Work
where
    T: Send + 'static,
    F: FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
{
    Box::new(move |tx| work(tx).map(|value| Box::new(value) as Output))
}

fn restore<T: 'static>(output: Output) -> Result<T> {
    let value = output.downcast().map(|value| *value);
    value.map_err(|_| Error::internal("the operation returned a value of another type"))
}

/// Returns the span of an operation in a request, for traces. Background tasks poll too often to be traced.
fn span(name: &'static str) -> Span {
    // Not by `span_enabled!`, which makes per-layer filters drop the thread's next event.
    if Span::current().is_none() {
        return Span::none();
    }
    tracing::info_span!(target: "shop::trace", "database", otel.name = name, otel.kind = "client")
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Db")
    }
}
