//! Postgres databases for tests, on the server of `SHOP_TEST_POSTGRES_URL` or else on a temporary one that
//! lives as long as this process. Without either, a test prints `SKIPPED`, or fails if
//! `SHOP_TEST_REQUIRE_POSTGRES=1`.

use std::{
    env,
    hash::{BuildHasher, RandomState},
    process::id,
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use postgres::{Client, Config, NoTls, error::SqlState};
use shop::infra::db::{Location, migrate};

use super::{Cluster, on_a_thread, skip};

/// Settings of the temporary server: no durability, and room for many concurrent shops.
const TEMPORARY_SERVER: [(&str, &str); 6] = [
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    ("max_connections", "400"),
    ("shared_buffers", "128MB"),
    ("max_wal_size", "256MB"),
];

/// The time after which [`Server::run`] cancels a statement and repeats it, far beyond what one takes.
const STATEMENT_TIMEOUT: &str = "-c statement_timeout=20s";

/// A database for one test; dropped with the value.
pub(crate) struct Database {
    server: &'static Server,
    name: String,
    url: String,
}

impl Database {
    /// Creates an empty database with the shop's schema. Returns `None` if the test is skipped.
    pub(crate) fn migrated() -> Option<Database> {
        let server = Server::shared()?;
        Some(on_a_thread(|| server.database(server.template())))
    }

    /// Creates a database without a schema. Returns `None` if the test is skipped.
    pub(crate) fn empty() -> Option<Database> {
        let server = Server::shared()?;
        Some(on_a_thread(|| server.database("template0")))
    }

    /// Returns the URL, e.g. `postgres://user:password@127.0.0.1:40000/name?sslmode=disable`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Opens a separate connection. Use and drop it on plain threads only: inside a tokio runtime it panics.
    pub(crate) fn admin(&self) -> Client {
        on_a_thread(|| Client::connect(&self.url, NoTls).unwrap())
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let drop_database = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        drop(on_a_thread(|| self.server.run(&drop_database)));
    }
}

impl Cluster {
    /// Starts a server with Postgres' defaults and these settings. Returns `None` if the test is skipped.
    pub(crate) fn start(settings: &[(&str, &str)]) -> Option<Cluster> {
        Cluster::make(None, settings)
            .map_err(|why| no_server(&why))
            .ok()
    }
}

/// The server on which databases are created.
struct Server {
    url: String,
    /// The prefix of this process's database names, and the application name of `maintenance`.
    prefix: String,
    count: AtomicU32,
    /// One connection for the lifetime of the process. It serializes CREATE DATABASE, since a template cannot
    /// be copied concurrently, and shows other processes whose databases are in use.
    maintenance: Mutex<Client>,
    template: OnceLock<String>,
    /// The `STRATEGY` clause of CREATE DATABASE (Postgres 15 and later).
    strategy: &'static str,
    /// Stops when the process ends, since a static is never dropped.
    _cluster: Option<Cluster>,
}

impl Server {
    fn shared() -> Option<&'static Server> {
        static SHARED: OnceLock<Result<Server, String>> = OnceLock::new();
        let found = SHARED.get_or_init(|| on_a_thread(Server::find));
        found.as_ref().map_err(|why| no_server(why)).ok()
    }

    fn find() -> Result<Server, String> {
        let given = env::var("SHOP_TEST_POSTGRES_URL").ok();
        if let Some(url) = given.filter(|url| !url.is_empty()) {
            return Ok(Server::at(url, None));
        }
        let cluster = Cluster::make(None, &TEMPORARY_SERVER)?;
        Ok(Server::at(cluster.url("postgres"), Some(cluster)))
    }

    fn at(url: String, cluster: Option<Cluster>) -> Server {
        let salt = RandomState::new().hash_one(id()) & 0xffff_ffff;
        let prefix = format!("shop_test_{}_{salt:08x}_", id());
        let mut config: Config = url
            .parse()
            .expect("SHOP_TEST_POSTGRES_URL is not a Postgres URL");
        config.application_name(&prefix).options(STATEMENT_TIMEOUT);
        let connected = config.connect(NoTls);
        let mut maintenance = connected
            .unwrap_or_else(|error| panic!("cannot connect to the Postgres for tests: {error:?}"));
        sweep(&mut maintenance);
        let version = maintenance
            .query_one("SELECT current_setting('server_version_num')::int", &[])
            .unwrap();
        Server {
            url,
            prefix,
            count: AtomicU32::new(0),
            maintenance: Mutex::new(maintenance),
            template: OnceLock::new(),
            strategy: if version.get::<_, i32>(0) < 150_000 {
                ""
            } else {
                "STRATEGY file_copy"
            },
            _cluster: cluster,
        }
    }

    /// Returns the name of the template database with the shop's schema, migrated at first use.
    fn template(&self) -> &str {
        self.template.get_or_init(|| {
            let name = self.create("template0");
            let location = Location::parse(&with_database(&self.url, &name)).unwrap();
            migrate::run(&location).unwrap();
            name
        })
    }

    fn database(&'static self, template: &str) -> Database {
        let name = self.create(template);
        Database {
            server: self,
            url: with_database(&self.url, &name),
            name,
        }
    }

    fn create(&self, template: &str) -> String {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}{number}", self.prefix);
        let strategy = self.strategy;
        self.run(&format!(
            "CREATE DATABASE {name} TEMPLATE {template} {strategy}"
        ))
        .unwrap();
        name
    }

    /// Runs a statement, and once more if it timed out. DROP DATABASE waits until every process has confirmed a signal,
    /// but Postgres 15 to 18 do not send it to a process that starts at that moment, and then wait forever. The next
    /// attempt reaches the process. (<https://www.postgresql.org/message-id/4358bd85-f6b4-4da6-9909-74428fe3c8f7%40gmail.com>)
    fn run(&self, sql: &str) -> Result<(), postgres::Error> {
        let mut maintenance = self.maintenance.lock().unwrap();
        let result = maintenance.batch_execute(sql);
        match result {
            Err(error) if error.code() == Some(&SqlState::QUERY_CANCELED) => {
                maintenance.batch_execute(sql)
            }
            _ => result,
        }
    }
}

/// Drops the databases of test processes that have ended: their templates, and everything a killed one left.
fn sweep(maintenance: &mut Client) {
    let left = maintenance.query(
        "SELECT d.datname FROM pg_database d WHERE starts_with(d.datname, 'shop_test_') AND NOT EXISTS
         (SELECT 1 FROM pg_stat_activity a WHERE starts_with(a.application_name, 'shop_test_')
          AND starts_with(d.datname, a.application_name))",
        &[],
    );
    for row in left.unwrap() {
        let name: String = row.get(0);
        // Another process may sweep concurrently.
        drop(maintenance.batch_execute(&format!("DROP DATABASE IF EXISTS {name}")));
    }
}

/// Skips a test without a server.
fn no_server(why: &str) {
    let remedy = "set SHOP_TEST_POSTGRES_URL or install postgresql";
    skip("POSTGRES", &format!("no Postgres: {why}; {remedy}"));
}

/// Returns the URL with another database name.
fn with_database(url: &str, database: &str) -> String {
    let (address, options) = url.split_at(url.find('?').unwrap_or(url.len()));
    let host = address.find("://").map_or(0, |at| at + 3);
    let end = address[host..]
        .find('/')
        .map_or(address.len(), |at| host + at);
    format!("{}/{database}{options}", &address[..end])
}
