//! The data of a shop that runs as the real program.

use std::{
    process::{Command, Output},
    sync::Arc,
};

use serde_json::Value;
use shop::{
    app::App,
    infra::{
        config::{Config, Layer},
        db::{Location, migrate},
    },
    server::{self, DataDir, Parts},
};

use super::{
    Database, Engine, Process, RawDb, ends,
    process::{program_on, run_on, serve},
    shop::{options, share_images},
};

/// A data directory, with its Postgres database if the engine is Postgres.
pub(crate) struct Site {
    directory: tempfile::TempDir,
    pub(crate) database: Option<Arc<Database>>,
    pub(crate) engine: Engine,
}

impl Site {
    /// Returns an empty shop, or `None` if the engine is not available.
    #[expect(
        clippy::unused_async,
        reason = "the test macros await `on` of every fixture"
    )]
    pub(crate) async fn on(engine: Engine) -> Option<Site> {
        Some(Site::of(engine, engine.database().ok()?))
    }

    pub(crate) fn of(engine: Engine, database: Option<Arc<Database>>) -> Site {
        let directory = match engine {
            Engine::Sqlite => new_shop(),
            Engine::Postgres => tempfile::tempdir().unwrap(),
        };
        Site {
            directory,
            database,
            engine,
        }
    }

    /// Returns the data directory of another instance on the same database, with its own image folder.
    pub(crate) fn with_own_images(&self) -> Site {
        assert_eq!(self.engine, Engine::Postgres, "a file has one server");
        Site::of(self.engine, self.database.clone())
    }

    /// Returns the data directory of another instance on the same database, with the same image folder.
    pub(crate) fn another_instance(&self) -> Site {
        let site = self.with_own_images();
        share_images(self.directory.path(), site.directory.path());
        site
    }

    /// Starts a server and waits until it listens.
    pub(crate) fn start(&self) -> Process {
        Process::spawn(self.program(), self.directory.path(), &[])
    }

    /// Starts a demo in a data directory of its own, on the same Postgres database if there is one.
    pub(crate) fn start_demo(&self, directory: &std::path::Path) -> Process {
        Process::spawn(self.program(), directory, &["--demo"])
    }

    /// Like [`Site::start`], with these environment variables.
    pub(crate) fn start_with(&self, variables: &[(&str, &str)]) -> Process {
        let mut program = serve(self.program(), self.directory.path(), &[]);
        program.envs(variables.iter().copied());
        Process::listening(program)
    }

    /// Like [`Site::start`], with a command that wraps the program, e.g. `strace`.
    pub(crate) fn start_under(&self, mut command: Command) -> Process {
        let database = self.database.as_deref();
        command.envs(database.map(|it| ("SHOP_DATABASE_URL", it.url())));
        Process::spawn(command, self.directory.path(), &[])
    }

    /// Opens the shop in this process, as a command does while a server runs.
    pub(crate) async fn open_in_process(&self) -> Arc<App> {
        let mut settings = vec![("data_dir", self.path().to_str().unwrap())];
        if let Some(database) = &self.database {
            settings.push(("database_url", database.url()));
        }
        let config = Config::from_layers(&[Layer::from_flags(settings)]).unwrap();
        let parts = Parts {
            storage: options(),
            ..Parts::new(config, "http://shop.test".to_owned())
        };
        let data_dir = DataDir::open(self.path()).unwrap();
        server::open(&data_dir, parts).await.unwrap()
    }

    /// Returns the data directory.
    pub(crate) fn path(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// Starts a server that must fail, with these environment variables. Returns its output.
    pub(crate) fn refuses_to_start(&self, variables: &[(&str, &str)]) -> Output {
        let mut program = serve(self.program(), self.directory.path(), &[]);
        program.envs(variables.iter().copied());
        ends(program)
    }

    /// Runs a subcommand of the program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        run_on(self.path(), self.database.as_deref(), arguments)
    }

    fn program(&self) -> Command {
        program_on(self.database.as_deref())
    }

    /// Adds a product by the command line. Returns its id.
    pub(crate) fn product(&self, name: &str, price: i64, stock: i64) -> String {
        add_product(|arguments| self.run(arguments), name, price, stock)
    }

    pub(crate) fn raw_db(&self) -> RawDb {
        RawDb::open(self.directory.path(), self.database.as_deref())
    }
}

/// Returns a data directory with an empty SQLite shop. (Most commands do not create one.)
pub(crate) fn new_shop() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    create_shop(directory.path());
    directory
}

/// Like [`new_shop`], in this directory.
pub(crate) fn create_shop(data_dir: &std::path::Path) {
    DataDir::open(data_dir).unwrap();
    migrate::run(&Location::Sqlite(data_dir.join("shop.db"))).unwrap();
}

/// Adds a product to the shop on which `run` runs commands. Returns its id.
pub(crate) fn add_product(
    run: impl Fn(&[&str]) -> Output,
    name: &str,
    price: i64,
    stock: i64,
) -> String {
    let (price, stock) = (price.to_string(), stock.to_string());
    let add = [
        "admin", "product", "add", "--json", "--name", name, "--price", &price,
    ];
    let made = run(&[&add[..], &["--stock", &stock]].concat());
    assert!(made.status.success(), "{made:?}");
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    made["id"].as_str().unwrap().to_owned()
}
