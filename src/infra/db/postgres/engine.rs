//! The `Postgres` engine: several programs on one database, each with a crew of threads that own
//! their connections (<https://www.postgresql.org/docs/current/transaction-iso.html>).
//!
//! Transactions are READ COMMITTED; what an operation must not find changed it locks, or guards in
//! the statement. Reads see one snapshot.

mod crew;
mod lone;
mod publisher;
mod session;
mod target;

use std::sync::Arc;

use tokio::sync::{Notify, oneshot};

pub use self::target::Target;
use self::{crew::Crew, publisher::Publisher};
pub(super) use self::{lone::Lone, session::Setup};
use super::{Access, Backend, Connection, Job, Options};
use crate::core::error::Result;

/// How long a statement of a short job may take.
const STATEMENT_LIMIT: std::time::Duration = std::time::Duration::from_secs(30);

pub struct Postgres {
    workers: Crew,
    /// Apart from the workers, so that no long read keeps a short job waiting.
    scanners: Crew,
    publisher: Publisher,
    committed: Arc<Notify>,
}

impl Postgres {
    /// Opens the database. The schema is [`super::migrate`]'s. Blocks: never call it on a thread
    /// that serves others.
    pub fn open(target: Target, options: Options) -> Result<Postgres> {
        let committed = Arc::new(Notify::new());
        let target = Arc::new(target);
        let publisher =
            Publisher::start(Arc::clone(&target), options.folder, Arc::clone(&committed))?;
        let crew = |name, size, limit, by_keys| {
            let setup = Setup {
                target: Arc::clone(&target),
                statement_limit: limit,
                lock_limit: options.busy,
                by_keys,
            };
            Crew::start(name, size, options.queue, setup, publisher.fresh())
        };
        Ok(Postgres {
            workers: crew("database", options.readers, STATEMENT_LIMIT, true)?,
            scanners: crew("scanner", options.scanners, options.scan, false)?,
            publisher,
            committed,
        })
    }
}

impl Backend for Postgres {
    fn read_inline(
        &self,
        _: &mut dyn FnMut(&mut dyn Connection) -> Result<()>,
    ) -> Option<Result<()>> {
        None
    }

    fn submit(&self, access: Access, job: Box<dyn Job>) -> Result<()> {
        let crew = match access {
            Access::LongRead(_) => &self.scanners,
            Access::Read | Access::Write => &self.workers,
        };
        crew.push(access, job)
    }

    fn flush_events(&self) -> Option<oneshot::Receiver<()>> {
        Some(self.publisher.flush_events())
    }

    fn close(&self) {
        self.workers.close();
        self.scanners.close();
        self.publisher.close();
    }

    fn committed(&self) -> Arc<Notify> {
        Arc::clone(&self.committed)
    }
}
