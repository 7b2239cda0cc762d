//! One end of a transfer: a database with one transaction open on it.

use std::{sync::Arc, time::Duration};

use crate::{
    core::error::{Error, Result},
    infra::db::{
        Access, Connection, Location, migrate,
        postgres::{Lone, Setup},
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

/// How long a statement may take, and how long it waits for a lock: nobody else is there.
const PATIENCE: Duration = Duration::from_hours(24);

pub(super) struct End {
    role: Role,
    engine: Engine,
}

enum Engine {
    Sqlite(rusqlite::Connection),
    Postgres(Box<Lone>),
}

impl End {
    /// Opens a database that nobody serves, and keeps it so. A source must be there already.
    pub(super) fn open(location: &Location, role: Role) -> Result<End> {
        let engine = match location {
            Location::Sqlite(path) => {
                if role == Role::Source && !path.exists() {
                    let path = path.display();
                    return Err(Error::unavailable(format!("there is no shop at `{path}`")));
                }
                migrate::sqlite(path)?;
                Engine::Sqlite(sqlite::lone(path, role.writes())?)
            }
            Location::Postgres(target) => {
                migrate::postgres(target)?;
                Engine::Postgres(Box::new(Lone::open(&Setup {
                    target: Arc::new((**target).clone()),
                    statement_limit: PATIENCE,
                    lock_limit: PATIENCE,
                    by_keys: false,
                })?))
            }
        };
        Ok(End { role, engine })
    }

    pub(super) fn connection(&mut self) -> &mut dyn Connection {
        match &mut self.engine {
            Engine::Sqlite(connection) => connection,
            Engine::Postgres(lone) => &mut lone.session,
        }
    }

    pub(super) fn begin(&mut self) -> Result<()> {
        match (&mut self.engine, self.role) {
            (Engine::Sqlite(connection), Role::Source) => sqlite::run(connection, "BEGIN"),
            (Engine::Sqlite(connection), Role::Target) => {
                sqlite::run(connection, "BEGIN IMMEDIATE")
            }
            (Engine::Postgres(lone), Role::Source) => {
                lone.number_events()?;
                lone.session.begin(Access::LongRead(None));
                Ok(())
            }
            (Engine::Postgres(lone), Role::Target) => {
                lone.session.begin(Access::Write);
                Ok(())
            }
        }
    }

    /// Keeps what was written, and has the planner of a server learn of it.
    pub(super) fn commit(&mut self) -> Result<()> {
        match &mut self.engine {
            Engine::Sqlite(connection) => sqlite::run(connection, "COMMIT"),
            Engine::Postgres(lone) => {
                lone.session.commit()?;
                lone.analyze()
            }
        }
    }

    pub(super) fn roll_back(&mut self) -> Result<()> {
        match &mut self.engine {
            Engine::Sqlite(connection) => sqlite::run(connection, "ROLLBACK"),
            Engine::Postgres(lone) => lone.session.roll_back(),
        }
    }
}
