//! The source or target of a transfer: a connection with one transaction.

use std::path::Path;

use crate::{
    core::error::{Error, Result},
    infra::db::{
        Access, Connection, Location, migrate,
        postgres::{self, ConnectionSettings, Exclusive, PgConnection},
        sqlite::{self, failure},
    },
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Source,
    /// A source that servers are using, so that it is neither migrated nor locked.
    Running,
    Target,
}

impl Role {
    fn writes(self) -> bool {
        self == Role::Target
    }
}

pub(super) struct Endpoint {
    role: Role,
    engine: Engine,
}

enum Engine {
    Sqlite(rusqlite::Connection),
    Postgres(Box<Exclusive>),
    RunningPostgres(Box<PgConnection>),
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
        if role != Role::Running {
            migrate::run(location)?;
        }
        let engine = match location {
            Location::Postgres(target) if role == Role::Running => {
                Engine::RunningPostgres(Box::new(postgres::open_reader(target)?))
            }
            Location::Sqlite(path) => Engine::Sqlite(open_file(path, role)?),
            Location::Postgres(target) => {
                let settings = ConnectionSettings::for_copy(target);
                Engine::Postgres(Box::new(Exclusive::open(&settings)?))
            }
        };
        Ok(Endpoint { role, engine })
    }

    /// Creates a `SQLite` file with this version of the schema, as a target.
    pub(super) fn create(path: &Path, version: u32) -> Result<Endpoint> {
        migrate::sqlite(path, version)?;
        Ok(Endpoint {
            role: Role::Target,
            engine: Engine::Sqlite(open_file(path, Role::Target)?),
        })
    }

    pub(super) fn connection(&mut self) -> &mut dyn Connection {
        match &mut self.engine {
            Engine::Sqlite(connection) => connection,
            Engine::Postgres(exclusive) => &mut exclusive.connection,
            Engine::RunningPostgres(connection) => &mut **connection,
        }
    }

    pub(super) fn begin(&mut self) -> Result<()> {
        match (&mut self.engine, self.role) {
            (Engine::Sqlite(connection), Role::Source | Role::Running) => {
                sqlite::run(connection, "BEGIN")
            }
            (Engine::Sqlite(connection), Role::Target) => {
                sqlite::run(connection, "BEGIN IMMEDIATE")
            }
            (Engine::RunningPostgres(connection), _) => {
                connection.begin(Access::LongRead(None));
                Ok(())
            }
            (Engine::Postgres(exclusive), Role::Source | Role::Running) => {
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
            Engine::RunningPostgres(connection) => connection.commit(),
        }
    }

    pub(super) fn roll_back(&mut self) -> Result<()> {
        match &mut self.engine {
            Engine::Sqlite(connection) => sqlite::run(connection, "ROLLBACK"),
            Engine::Postgres(exclusive) => exclusive.connection.roll_back(),
            Engine::RunningPostgres(connection) => connection.roll_back(),
        }
    }
}

fn open_file(path: &Path, role: Role) -> Result<rusqlite::Connection> {
    let connection = sqlite::open_standalone(path, role.writes())?;
    // Secrets may be deleted again: their bytes must not stay in the file.
    connection
        .pragma_update(None, "secure_delete", true)
        .map_err(failure)?;
    Ok(connection)
}
