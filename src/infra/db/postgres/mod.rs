//! The `PostgreSQL` engine: several instances of the program share one database.
//!
//! - **Connections**: a pool of threads, each with its own connection; a second pool serves long reads. See
//!   `worker_pool`.
//! - **Isolation**: write transactions are READ COMMITTED. Operations lock the rows they depend on
//!   ([`super::Sql::for_update`]) or put the condition into the statement. Reads run in a REPEATABLE READ
//!   snapshot (<https://www.postgresql.org/docs/current/transaction-iso.html>).
//! - **Retries**: a deadlock, a serialization failure, a unique or foreign-key violation, or a connection
//!   lost before COMMIT runs the operation again, with random backoff.
//! - **Prepared statements**: each connection prepares a statement once and reuses it.
//! - **Events**: one instance at a time, the holder of an advisory lock, numbers committed events and
//!   notifies the others by LISTEN/NOTIFY. See `publisher`.

mod connect;
mod connection;
mod connection_settings;
mod engine;
mod errors;
mod exclusive;
mod pipeline;
mod preflight;
mod publisher;
mod schemas;
mod statement_cache;
mod tls;
mod types;
mod worker_pool;

pub use self::{connect::Target, engine::Postgres};
pub(super) use self::{
    connection::PgConnection, connection_settings::ConnectionSettings, exclusive::Exclusive,
    schemas::NewSchema,
};
use crate::core::error::Result;

/// Opens a connection that reads a whole database while servers use it.
pub(super) fn open_reader(target: &Target) -> Result<PgConnection> {
    PgConnection::open(&ConnectionSettings::for_copy(target))
}

/// Assigns a sequence number to every committed event and audit entry, also while servers run.
pub(super) fn sequence_events(target: &Target) -> Result<()> {
    let mut client = target.connect()?;
    let done = client.batch_execute(publisher::SEQUENCE_EVENTS);
    done.map_err(|error| errors::failure(&error))
}
