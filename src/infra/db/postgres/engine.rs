//! The `PostgreSQL` implementation of [`Backend`].

use std::{sync::Arc, time::Duration};

use tokio::sync::{Notify, oneshot};

use super::{
    connect::Target, connection_settings::ConnectionSettings, publisher::Publisher,
    worker_pool::WorkerPool,
};
use crate::{
    core::error::Result,
    infra::db::{Access, Backend, Connection, Load, Operation, Options},
};

/// The `statement_timeout` of short operations.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(30);

pub struct Postgres {
    workers: WorkerPool,
    /// A separate pool, so that long reads do not delay short operations.
    long_readers: WorkerPool,
    publisher: Publisher,
    committed: Arc<Notify>,
}

impl Postgres {
    /// Opens the database, which [`crate::infra::db::migrate`] must have migrated. Blocks, so it must not run
    /// on an async thread.
    pub fn open(target: Target, options: Options) -> Result<Postgres> {
        let committed = Arc::new(Notify::new());
        let target = Arc::new(target);
        let publisher = Publisher::start(
            Arc::clone(&target),
            options.image_folder,
            Arc::clone(&committed),
        )?;
        let pool = |name, size, statement_timeout, forces_index_plans| {
            let settings = ConnectionSettings {
                target: Arc::clone(&target),
                statement_timeout,
                lock_timeout: options.lock_timeout,
                forces_index_plans,
            };
            WorkerPool::start(
                name,
                size,
                options.queue_capacity,
                settings,
                publisher.unsequenced(),
            )
        };
        Ok(Postgres {
            workers: pool("database", options.readers, STATEMENT_TIMEOUT, true)?,
            long_readers: pool(
                "long read",
                options.long_readers,
                options.long_read_timeout,
                false,
            )?,
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

    fn submit(&self, access: Access, operation: Operation) -> Result<()> {
        let pool = match access {
            Access::LongRead(_) => &self.long_readers,
            Access::Read | Access::Write => &self.workers,
        };
        pool.push(access, operation)
    }

    fn flush_events(&self) -> Option<oneshot::Receiver<()>> {
        Some(self.publisher.flush_events())
    }

    fn close(&self) {
        self.workers.close();
        self.long_readers.close();
        self.publisher.close();
    }

    fn load(&self) -> Load {
        let (queued, queue_capacity) = self.workers.queue_length();
        Load {
            queued,
            queue_capacity,
            wal_bytes: None,
        }
    }

    fn committed(&self) -> Arc<Notify> {
        Arc::clone(&self.committed)
    }
}
