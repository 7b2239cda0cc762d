//! Exclusive access to a database, for commands that require that no server runs.

use postgres::Client;

use super::{
    connection::PgConnection,
    connection_settings::ConnectionSettings,
    errors::failure,
    publisher::{FIND_OTHER, SEQUENCE_EVENTS},
};
use crate::{
    core::error::{Error, Result},
    infra::db::migrate::SCHEMA_LOCK,
};

/// A connection to a database that no other instance uses.
pub(in crate::infra::db) struct Exclusive {
    pub(in crate::infra::db) connection: PgConnection,
    /// Holds the schema lock, so that no instance can start.
    guard: Client,
}

impl Exclusive {
    /// Errors: `unavailable` if another instance or command uses the database.
    pub(in crate::infra::db) fn open(settings: &ConnectionSettings) -> Result<Exclusive> {
        let failed = |error: postgres::Error| failure(&error);
        let mut guard = settings.target.connect()?;
        let is_locked: bool = guard
            .query_one(
                "SELECT pg_try_advisory_lock($1) AS is_locked",
                &[&SCHEMA_LOCK],
            )
            .map_err(failed)?
            .get("is_locked");
        let other = guard
            .query_opt(FIND_OTHER, &[&[0_u32; 0].as_slice()])
            .map_err(failed)?;
        if !is_locked || other.is_some() {
            return Err(Error::unavailable(format!(
                "the database {} is in use by a server or a command; stop them first",
                settings.target.name()
            )));
        }
        Ok(Exclusive {
            connection: PgConnection::open(settings)?,
            guard,
        })
    }

    /// Assigns a sequence number to every committed event.
    pub(in crate::infra::db) fn sequence_events(&mut self) -> Result<()> {
        let done = self.guard.batch_execute(SEQUENCE_EVENTS);
        done.map_err(|error| failure(&error))
    }

    /// Updates the planner statistics of all tables.
    pub(in crate::infra::db) fn analyze(&mut self) -> Result<()> {
        let done = self.guard.batch_execute("ANALYZE");
        done.map_err(|error| failure(&error))
    }
}
