//! The storage seam: [`Db::read`] and [`Db::write`] run a plain function over a [`Tx`].
//!
//! An operation is written once, in SQL that every engine takes; beneath it stands a `Backend`,
//! chosen once. `write` answers only after the commit is durable. A closure holds a [`Tx`] and no
//! [`Db`], so that nothing nests and nothing outside can be awaited inside a transaction. Nothing
//! here knows a word of the shop.

mod job;
pub mod migrate;
pub mod sqlite;
mod tx;

use std::{sync::Arc, time::Duration};

use tokio::sync::{Notify, oneshot};

pub(crate) use self::{job::Job, tx::Connection};
pub use self::{
    job::Outcome,
    sqlite::Sqlite,
    tx::{Cell, Column, Row, Sql, Tx, Value, rows_of, setting},
};
use crate::{
    clock::{Chance, Clock},
    error::{Error, Result},
};

/// The least of a table's rows that every operation sees as one: an engine with its connections.
pub(crate) trait Backend: Send + Sync + 'static {
    /// Runs a read on a snapshot, on the caller's thread.
    fn read(&self, work: &mut dyn FnMut(&mut dyn Connection) -> Result<()>) -> Result<()>;

    /// As `read`, for what may take long: interrupted after `limit`.
    fn scan(
        &self,
        limit: Duration,
        work: &mut dyn FnMut(&mut dyn Connection) -> Result<()>,
    ) -> Result<()>;

    /// Takes a job over; the job answers its caller by itself, after the commit.
    fn write(&self, job: Box<dyn Job>) -> Result<()>;

    /// Finishes the jobs that wait and refuses new ones.
    fn close(&self);
}

/// One database, shared by all who clone it.
#[derive(Clone)]
pub struct Db {
    backend: Arc<dyn Backend>,
    clock: Clock,
    chance: Chance,
    committed: Arc<Notify>,
}

/// A read that takes longer than this is broken off.
const SCAN_LIMIT: Duration = Duration::from_secs(10);

impl Db {
    pub fn new(sqlite: Sqlite, clock: Clock, chance: Chance) -> Db {
        let committed = sqlite.committed();
        Db {
            backend: Arc::new(sqlite),
            clock,
            chance,
            committed,
        }
    }

    /// Runs `work` on a consistent snapshot and on this thread: for what takes microseconds.
    #[expect(
        clippy::unused_async,
        reason = "an engine across a network answers later"
    )]
    pub async fn read<T, F>(&self, name: &'static str, mut work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        let mut answer = None;
        self.backend
            .read(&mut |connection| {
                answer = Some(work(&mut self.tx(connection))?);
                Ok(())
            })
            .inspect_err(|error| tracing::trace!(name, ?error, "read failed"))?;
        answer.ok_or_else(|| Error::internal("a read gave no answer"))
    }

    /// Runs `work` on a consistent snapshot and on a thread for reading, with a deadline: for what
    /// may take long.
    pub async fn scan<T, F>(&self, name: &'static str, mut work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        let db = self.clone();
        tokio::task::spawn_blocking(move || {
            let mut answer = None;
            db.backend
                .scan(SCAN_LIMIT, &mut |connection| {
                    answer = Some(work(&mut db.tx(connection))?);
                    Ok(())
                })
                .inspect_err(|error| tracing::trace!(name, ?error, "scan failed"))?;
            answer.ok_or_else(|| Error::internal("a scan gave no answer"))
        })
        .await
        .map_err(Error::internal)?
    }

    /// Runs `work` in a transaction and answers once it is durable. `work` runs again, from the
    /// start and with a fresh `now`, if another job of its group fails or the engine asks for it.
    pub async fn write<T, F>(&self, name: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        self.backend.write(job::Write::boxed(
            name,
            work,
            reply,
            self.clock.clone(),
            self.chance.clone(),
        ))?;
        answer
            .await
            .map_err(|_| Error::unavailable("the server is stopping; try again"))?
    }

    /// Wakes after commits that emitted events, in this process.
    pub(crate) async fn committed(&self) {
        self.committed.notified().await;
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
        Tx::new(connection, self.clock.now(), &self.chance)
    }
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Db")
    }
}
