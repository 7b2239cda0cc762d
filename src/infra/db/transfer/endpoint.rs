//! The source or target of a transfer: a connection with one transaction.

use std::{sync::Arc, time::Duration};

use crate::{
    core::error::{Error, Result},
    infra::db::{
        Access, Connection, Location, migrate,
        postgres::{ConnectionSettings, Exclusive},
        sqlite,
    },
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Source,
    Target,
}

impl Role {
    fn writes(self) -> bool {
        self == Role::Target
    }
}

/// The statement and lock timeout. Long, because the transfer is the only user of the database.
const TIMEOUT: Duration = Duration::from_hours(24);

pub(super) struct Endpoint {
    role: Role,
    engine: Engine,
}

enum Engine {
    Sqlite(rusqlite::Connection),
    Postgres(Box<Exclusive>),
}

impl Endpoint {
    /// Migrates and opens a database. On Postgres it stays locked, so that no server can start.
    ///
    /// Errors: `unavailable` if a server uses the database (Postgres), or the source does not exist.
    pub(super) fn open(location: &Location, role: Role) -> Result<Endpoint> {
        if let Location::Sqlite(path) = location
            && role == Role::Source
            && !path.exists()
        {
            let path = path.display();
            return Err(Error::command_failed(format!("no shop found at `{path}`")));
        }
        migrate::run(location)?;
        let engine = match location {
            Location::Sqlite(path) => Engine::Sqlite(sqlite::open_standalone(path, role.writes())?),
            Location::Postgres(target) => {
                Engine::Postgres(Box::new(Exclusive::open(&ConnectionSettings {
                    target: Arc::new((**target).clone()),
                    statement_timeout: TIMEOUT,
                    lock_timeout: TIMEOUT,
                    forces_index_plans: false,
                })?))
            }
        };
        Ok(Endpoint { role, engine })
    }

    pub(super) fn connection(&mut self) -> &mut dyn Connection {
        match &mut self.engine {
            Engine::Sqlite(connection) => connection,
            Engine::Postgres(exclusive) => &mut exclusive.connection,
        }
    }

    pub(super) fn begin(&mut self) -> Result<()> {
        match (&mut self.engine, self.role) {
            (Engine::Sqlite(connection), Role::Source) => sqlite::run(connection, "BEGIN"),
            (Engine::Sqlite(connection), Role::Target) => {
                sqlite::run(connection, "BEGIN IMMEDIATE")
            }
            (Engine::Postgres(exclusive), Role::Source) => {
                exclusive.sequence_events()?;
                exclusive.connection.begin(Access::LongRead(None));
                Ok(())
            }
            (Engine::Postgres(exclusive), Role::Target) => {
                exclusive.connection.begin(Access::Write);
                Ok(())
            }
        }
    }

    /// Commits. On Postgres it then updates the planner statistics.
    pub(super) fn commit(&mut self) -> Result<()> {
        match &mut self.engine {
            Engine::Sqlite(connection) => sqlite::run(connection, "COMMIT"),
            Engine::Postgres(exclusive) => {
                exclusive.connection.commit()?;
                exclusive.analyze()
            }
        }
    }

    pub(super) fn roll_back(&mut self) -> Result<()> {
        match &mut self.engine {
            Engine::Sqlite(connection) => sqlite::run(connection, "ROLLBACK"),
            Engine::Postgres(exclusive) => exclusive.connection.roll_back(),
        }
    }
}
