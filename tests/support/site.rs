//! Where a shop is kept that runs as the real program.

use std::{
    process::{Command, Output},
    sync::Arc,
};

use serde_json::Value;
use shop::{
    app::App,
    infra::{
        config::{Config, Layer},
        db::migrate,
    },
    server::{self, Home, Parts},
};

use super::{
    Database, Engine, Process, RawDb, ends,
    process::{program_on, run_on, serve},
    shop::{options, share_images},
};

/// A data directory, and the database beside it where that is a server's.
pub(crate) struct Site {
    directory: tempfile::TempDir,
    pub(crate) database: Option<Arc<Database>>,
    pub(crate) engine: Engine,
}

impl Site {
    /// With the shop's schema and nothing in it; none where the engine is not to be had.
    #[expect(
        clippy::unused_async,
        reason = "a story is told of whatever can be had `on` an engine"
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

    /// For an instance on the same database that keeps its pictures by itself.
    pub(crate) fn apart(&self) -> Site {
        assert_eq!(self.engine, Engine::Postgres, "a file has one server");
        Site::of(self.engine, self.database.clone())
    }

    /// For another instance on the same database, with the same pictures.
    pub(crate) fn beside(&self) -> Site {
        let site = self.apart();
        share_images(self.directory.path(), site.directory.path());
        site
    }

    /// Starts a server and waits until it listens.
    pub(crate) fn start(&self) -> Process {
        Process::spawn(self.program(), self.directory.path(), &[])
    }

    /// As [`Site::start`], with these variables.
    pub(crate) fn start_with(&self, variables: &[(&str, &str)]) -> Process {
        let mut program = serve(self.program(), self.directory.path(), &[]);
        program.envs(variables.iter().copied());
        Process::listening(program)
    }

    /// As [`Site::start`], under a command that runs the program given to it.
    pub(crate) fn start_as(&self, mut command: Command) -> Process {
        let database = self.database.as_deref();
        command.envs(database.map(|it| ("SHOP_DATABASE_URL", it.url())));
        Process::spawn(command, self.directory.path(), &[])
    }

    /// The shop in this process, beside the one that serves it, as a command opens it.
    pub(crate) async fn beside_itself(&self) -> Arc<App> {
        let mut layer = Layer::new();
        let directory = self.path().to_str().unwrap();
        layer.insert("data_dir".to_owned(), directory.to_owned());
        if let Some(database) = &self.database {
            layer.insert("database_url".to_owned(), database.url().to_owned());
        }
        let config = Config::from_layers(&[layer]).unwrap();
        let parts = Parts {
            storage: options(),
            ..Parts::new(config, "http://shop.test".to_owned())
        };
        let home = Home::open(self.path()).unwrap();
        server::open(&home, parts).await.unwrap()
    }

    /// The data directory.
    pub(crate) fn path(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// Starts a server that must not come up, with these variables; tells how it ended.
    pub(crate) fn refuses_to_start(&self, variables: &[(&str, &str)]) -> Output {
        let mut program = serve(self.program(), self.directory.path(), &[]);
        program.envs(variables.iter().copied());
        ends(program)
    }

    /// Runs a command of the program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        run_on(self.path(), self.database.as_deref(), arguments)
    }

    fn program(&self) -> Command {
        program_on(self.database.as_deref())
    }

    /// Puts a product into the shop by the command line; tells its id.
    pub(crate) fn product(&self, name: &str, price: i64, stock: i64) -> String {
        add_product(|arguments| self.run(arguments), name, price, stock)
    }

    pub(crate) fn raw_db(&self) -> RawDb {
        RawDb::of(self.directory.path(), self.database.as_deref())
    }
}

/// A data directory with a shop on a file, and nothing in it: most commands create none.
pub(crate) fn new_shop() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    create_shop(directory.path());
    directory
}

/// As [`new_shop`], in a directory that has a name.
pub(crate) fn create_shop(data_dir: &std::path::Path) {
    Home::open(data_dir).unwrap();
    migrate::sqlite(&data_dir.join("shop.db")).unwrap();
}

/// Puts a product into the shop that `run` runs commands on; tells its id.
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
