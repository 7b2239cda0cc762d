//! Exclusive access to a database, for commands that require that no server runs.

use std::time::Duration;

use postgres::Client;

use super::{
    Target,
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
        Ok(Exclusive {
            guard: lock(&settings.target)?,
            connection: PgConnection::open(settings)?,
        })
    }

    /// Assigns a sequence number to every committed event and audit entry.
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

/// How often the lock is tried: a connection that was just closed may hold it a moment longer.
const LOCK_ATTEMPTS: u32 = 5;

/// The pause between two attempts.
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// Takes the schema lock. Errors: `unavailable` if another instance or command uses the database.
pub(super) fn lock(target: &Target) -> Result<Client> {
    let mut guard = target.connect()?;
    for _ in 1..LOCK_ATTEMPTS {
        if try_lock(&mut guard)? {
            return Ok(guard);
        }
        std::thread::sleep(LOCK_PAUSE);
    }
    if try_lock(&mut guard)? {
        return Ok(guard);
    }
    Err(Error::unavailable(format!(
        "the database {} is in use by a server or a command; stop them first",
        target.name()
    )))
}

/// Returns whether the schema lock was taken and no other instance uses the database.
fn try_lock(guard: &mut Client) -> Result<bool> {
    let failed = |error: postgres::Error| failure(&error);
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
    if is_locked && other.is_none() {
        return Ok(true);
    }
    if is_locked {
        guard
            .execute("SELECT pg_advisory_unlock($1)", &[&SCHEMA_LOCK])
            .map_err(failed)?;
    }
    Ok(false)
}
