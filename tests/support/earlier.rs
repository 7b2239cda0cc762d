//! A shop as an earlier version of the program left it.

use std::{path::Path, process::Command, sync::Arc};

use refinery_core::{Runner, Target};
use shop::infra::db::migrate;

use super::{Database, Engine, RawDb, TestShop, on_a_thread, program_on, run_on};

/// A database without a schema, to migrate and fill step by step.
pub(crate) struct EarlierShop {
    directory: Arc<tempfile::TempDir>,
    database: Option<Arc<Database>>,
}

impl EarlierShop {
    /// Returns `None` if the engine is not available.
    #[expect(
        clippy::unused_async,
        reason = "the test macros await `on` of every fixture"
    )]
    pub(crate) async fn on(engine: Engine) -> Option<EarlierShop> {
        let database = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(Arc::new(Database::empty()?)),
        };
        Some(EarlierShop {
            directory: Arc::new(tempfile::tempdir().unwrap()),
            database,
        })
    }

    /// Returns another one on the same engine.
    pub(crate) async fn another(&self) -> EarlierShop {
        let engine = match self.database {
            None => Engine::Sqlite,
            Some(_) => Engine::Postgres,
        };
        EarlierShop::on(engine).await.unwrap()
    }

    /// Returns the data directory.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Returns the version of the schema.
    pub(crate) fn version(&self) -> u32 {
        let version = "SELECT max(version) FROM refinery_schema_history";
        self.raw_db().number(version).try_into().unwrap()
    }

    pub(crate) fn database(&self) -> Option<&Database> {
        self.database.as_deref()
    }

    /// Runs the migrations up to that version.
    pub(crate) fn migrate_to(&self, version: i32) {
        let up_to = |runner: Runner| runner.set_target(Target::Version(version));
        match &self.database {
            None => {
                let path = self.directory.path().join("shop.db");
                let mut connection = rusqlite::Connection::open(path).unwrap();
                let runner = up_to(migrate::sqlite_runner().unwrap());
                runner.run(&mut connection).unwrap();
            }
            Some(database) => on_a_thread(|| {
                let runner = up_to(migrate::postgres_runner().unwrap());
                runner.run(&mut database.admin()).unwrap();
            }),
        }
    }

    pub(crate) fn raw_db(&self) -> RawDb {
        RawDb::open(self.directory.path(), self.database.as_deref())
    }

    /// Returns a command of the current program that runs on this shop's database.
    pub(crate) fn program(&self) -> Command {
        program_on(self.database.as_deref())
    }

    /// Runs a command of the current program.
    pub(crate) fn run(&self, arguments: &[&str]) -> std::process::Output {
        run_on(self.directory.path(), self.database.as_deref(), arguments)
    }

    /// Opens the shop with the current program, which runs the remaining migrations.
    pub(crate) async fn upgraded(self) -> TestShop {
        TestShop::on_data(self.directory, self.database).await
    }
}
