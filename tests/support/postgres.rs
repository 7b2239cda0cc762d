//! Postgres for tests: the server of `SHOP_TEST_POSTGRES_URL`, else a throwaway one that lives as
//! long as this process. Where there is neither, a test is skipped loudly, or fails if
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

use postgres::{Client, Config, NoTls};
use shop::infra::db::postgres::Target;

use super::{Cluster, on_a_thread, skip};

/// What a failed test run may lose, and what many shops at once need.
const THROWAWAY: [(&str, &str); 6] = [
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    ("max_connections", "400"),
    ("shared_buffers", "128MB"),
    ("max_wal_size", "256MB"),
];

/// A database of one test, dropped with the value.
pub(crate) struct Database {
    server: &'static Server,
    name: String,
    url: String,
}

impl Database {
    /// With the shop's schema and nothing in it; none where the test is skipped.
    pub(crate) fn migrated() -> Option<Database> {
        let server = Server::shared()?;
        Some(on_a_thread(|| server.database(server.template())))
    }

    /// Without even a schema; none where the test is skipped.
    pub(crate) fn empty() -> Option<Database> {
        let server = Server::shared()?;
        Some(on_a_thread(|| server.database("template0")))
    }

    /// As `postgres://user:password@127.0.0.1:40000/name?sslmode=disable`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// A connection behind the shop's back, for plain threads: within tokio it panics when it is
    /// used, and even when it is dropped.
    pub(crate) fn admin(&self) -> Client {
        on_a_thread(|| Client::connect(&self.url, NoTls).unwrap())
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let gone = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        drop(on_a_thread(|| self.server.run(&gone)));
    }
}

impl Cluster {
    /// With Postgres' own defaults but for these lines of `postgresql.conf`; none where the test
    /// is skipped.
    pub(crate) fn start(settings: &[(&str, &str)]) -> Option<Cluster> {
        Cluster::make(None, settings)
            .map_err(|why| no_server(&why))
            .ok()
    }
}

/// Where databases are made.
struct Server {
    url: String,
    /// What the names of this process's databases begin with, and the name of `maintenance`.
    prefix: String,
    count: AtomicU32,
    /// One connection as long as the process runs: databases are made one at a time, since two
    /// cannot copy one template at once, and other processes see whose databases are in use.
    maintenance: Mutex<Client>,
    template: OnceLock<String>,
    /// `STRATEGY` of `CREATE DATABASE`, which Postgres has from version 15 on.
    strategy: &'static str,
    /// Stops when the process ends, for a static is never dropped.
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
        let cluster = Cluster::make(None, &THROWAWAY)?;
        Ok(Server::at(cluster.url("postgres"), Some(cluster)))
    }

    fn at(url: String, cluster: Option<Cluster>) -> Server {
        let salt = RandomState::new().hash_one(id()) & 0xffff_ffff;
        let prefix = format!("shop_test_{}_{salt:08x}_", id());
        let mut config: Config = url.parse().expect("no URL of a Postgres");
        let connected = config.application_name(&prefix).connect(NoTls);
        let mut maintenance = connected
            .unwrap_or_else(|error| panic!("the Postgres for tests does not answer: {error:?}"));
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

    /// The name of a database with the shop's schema, migrated once for all.
    fn template(&self) -> &str {
        self.template.get_or_init(|| {
            let name = self.create("template0");
            let target = Target::parse(&beside(&self.url, &name)).unwrap();
            shop::infra::db::migrate::postgres(&target).unwrap();
            name
        })
    }

    fn database(&'static self, template: &str) -> Database {
        let name = self.create(template);
        Database {
            server: self,
            url: beside(&self.url, &name),
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

    fn run(&self, sql: &str) -> Result<(), postgres::Error> {
        self.maintenance.lock().unwrap().batch_execute(sql)
    }
}

/// Drops what test processes have left that are gone: templates, and all of one that was killed.
fn sweep(maintenance: &mut Client) {
    let left = maintenance.query(
        "SELECT d.datname FROM pg_database d WHERE starts_with(d.datname, 'shop_test_') AND NOT EXISTS
         (SELECT 1 FROM pg_stat_activity a WHERE starts_with(a.application_name, 'shop_test_')
          AND starts_with(d.datname, a.application_name))",
        &[],
    );
    for row in left.unwrap() {
        let name: String = row.get(0);
        // another process may sweep as well
        drop(maintenance.batch_execute(&format!("DROP DATABASE IF EXISTS {name}")));
    }
}

/// Says that a test has no server.
fn no_server(why: &str) {
    let remedy = "set SHOP_TEST_POSTGRES_URL or install postgresql";
    skip("POSTGRES", &format!("no Postgres: {why}; {remedy}"));
}

/// The same server's URL with another database in it.
fn beside(url: &str, database: &str) -> String {
    let (address, options) = url.split_at(url.find('?').unwrap_or(url.len()));
    let host = address.find("://").map_or(0, |at| at + 3);
    let end = address[host..]
        .find('/')
        .map_or(address.len(), |at| host + at);
    format!("{}/{database}{options}", &address[..end])
}
