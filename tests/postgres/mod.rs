//! The shop on a real Postgres server: which databases it accepts, its error messages for the others, and how
//! it survives the loss of its connections.

mod address;
mod connection_loss;
mod encryption;
mod helpers;
mod interrupted;
mod limits;
mod preflight;

use std::{
    fs,
    path::Path,
    process::Command,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use postgres::{Client, NoTls};

use crate::support::Cluster;

/// Part of every password in these tests. It must never appear in any output.
const SECRET: &str = "sw0rdfish";

/// A server shared by all tests that only need databases. Local connections are trusted, except `ada` and
/// `odd`, who need a password, and `tess`, who must use TLS.
struct Server {
    cluster: Cluster,
    /// `ca.crt`, which signed the certificate of `localhost`, and `stranger.crt`, which did not.
    certificates: tempfile::TempDir,
    count: AtomicU32,
}

const PG_HBA: &str = "
    host    all odd  127.0.0.1/32 scram-sha-256
    hostssl all tess 127.0.0.1/32 trust
    host    all tess 127.0.0.1/32 reject
    host    all ada  127.0.0.1/32 scram-sha-256
    host    all all  127.0.0.1/32 trust
    local   all all               trust
";

impl Server {
    /// Returns `None` if the test is skipped.
    fn shared() -> Option<&'static Server> {
        static SHARED: OnceLock<Option<Server>> = OnceLock::new();
        SHARED.get_or_init(Server::start).as_ref()
    }

    fn start() -> Option<Server> {
        let cluster = Cluster::start(&[("fsync", "off"), ("unix_socket_directories", ".")])?;
        let certificates = encryption::certificates();
        for (file, name) in [
            ("localhost.crt", "server.crt"),
            ("localhost.key", "server.key"),
        ] {
            let content = fs::read_to_string(certificates.path().join(file)).unwrap();
            cluster.write_file(name, &content);
        }
        cluster.write_file("postgresql.auto.conf", "ssl = on\n");
        cluster.write_file("pg_hba.conf", PG_HBA);
        cluster.restart();
        let server = Server {
            cluster,
            certificates,
            count: AtomicU32::new(0),
        };
        server.run(
            "postgres",
            &format!(
                "CREATE ROLE ada LOGIN PASSWORD '{SECRET}'; CREATE ROLE tess LOGIN SUPERUSER;
                 CREATE ROLE odd LOGIN SUPERUSER PASSWORD '{SECRET}@:/?#%&= é';
                 CREATE ROLE guest LOGIN"
            ),
        );
        Some(server)
    }

    /// Creates an empty database. Returns its name.
    fn database(&self) -> String {
        self.database_with("")
    }

    /// Like [`Server::database`], with options of CREATE DATABASE.
    fn database_with(&self, options: &str) -> String {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let name = format!("shop_{number}");
        let create = format!("CREATE DATABASE {name} TEMPLATE template0 {options}");
        self.run("postgres", &create);
        name
    }

    /// Returns a URL; `user` may be `ada:password`, `rest` is e.g. `name?sslmode=disable`.
    fn url(&self, user: &str, rest: &str) -> String {
        format!("postgres://{user}@127.0.0.1:{}/{rest}", self.cluster.port())
    }

    /// Opens a superuser connection.
    fn client(&self, database: &str) -> Client {
        Client::connect(&self.cluster.url(database), NoTls).unwrap()
    }

    fn run(&self, database: &str, sql: &str) {
        self.client(database).batch_execute(sql).unwrap();
    }

    /// Returns the names of all tables outside the system schemas.
    fn tables(&self, database: &str) -> Vec<String> {
        let rows = self.client(database).query(
            "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace NOT IN
                 ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) ORDER BY 1",
            &[],
        );
        rows.unwrap().iter().map(|row| row.get(0)).collect()
    }
}

/// Returns a command that creates or opens the shop and ends; `here` is its working directory.
fn shop(here: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
    command
        .args(["admin", "seed", "--products", "0", "--customers", "0"])
        .current_dir(here)
        .env("RUST_BACKTRACE", "1");
    command
}

/// Runs a command that must fail to open its database. Returns its error message.
#[track_caller]
fn refused(command: &mut Command) -> String {
    let (code, why) = exit_of(command);
    assert_eq!(code, 1, "{why}");
    why
}

/// Runs a command that must fail with a one-line error, without creating another database. Returns the exit
/// code and the message.
#[track_caller]
fn exit_of(command: &mut Command) -> (i32, String) {
    let output = command.output().unwrap();
    let (out, err) = (texts(&output.stdout), texts(&output.stderr));
    assert_eq!(out, "", "{err}");
    assert!(!err.contains(SECRET), "the password is shown: {err}");
    let why = err
        .strip_prefix("error: ")
        .unwrap_or_else(|| panic!("not an error message: {err}"));
    assert_eq!(why.lines().count(), 1, "{err}");
    for inner in ["panicked", "backtrace", ".rs:", "went wrong on our side"] {
        assert!(!why.contains(inner), "{why}");
    }
    let home = command.get_current_dir().unwrap().join("shop-data");
    assert!(
        !home.join("shop.db").exists(),
        "no SQLite database was created"
    );
    assert!(!home.join("keys").exists(), "no secret was created");
    (output.status.code().unwrap(), why.trim_end().to_owned())
}

/// Runs a command that must reject an invalid setting. Returns its error message.
#[track_caller]
fn usage_error(command: &mut Command) -> String {
    let (code, why) = exit_of(command);
    assert_eq!(code, 2, "{why}");
    why
}

/// Like [`usage_error`], for a URL in the environment.
#[track_caller]
fn url_usage_error(url: &str) -> String {
    let here = tempfile::tempdir().unwrap();
    usage_error(shop(here.path()).env("SHOP_DATABASE_URL", url))
}

/// Like [`refused`], for a URL in the environment.
#[track_caller]
fn refuses(url: &str) -> String {
    let here = tempfile::tempdir().unwrap();
    refused(shop(here.path()).env("SHOP_DATABASE_URL", url))
}

/// Asserts that the shop opens this database and creates its tables.
#[track_caller]
fn opens(url: &str) {
    let here = tempfile::tempdir().unwrap();
    opened(shop(here.path()).env("SHOP_DATABASE_URL", url));
}

#[track_caller]
fn opened(command: &mut Command) {
    let output = command.output().unwrap();
    let (out, err) = (texts(&output.stdout), texts(&output.stderr));
    assert_eq!((output.status.code(), err.as_str()), (Some(0), ""), "{out}");
    assert!(out.starts_with("created 0 products"), "{out}");
}

fn texts(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Asserts that the text contains all of these words.
#[track_caller]
fn assert_contains(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "no {word:?} in: {text}");
    }
}
