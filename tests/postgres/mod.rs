//! The shop on a real Postgres server: which ones it opens, what it says of the others, and how it
//! lives through losing the one it has.

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

/// In every password of these tests; nobody may ever read it.
const SECRET: &str = "sw0rdfish";

/// A server for all tests that only ask it for databases: everybody is trusted on the way from this
/// machine, but for `ada`, who must know her password, and `tess`, who must encrypt.
struct Server {
    cluster: Cluster,
    /// `ca.crt`, which has signed for `localhost`, and `stranger.crt`, which has not.
    papers: tempfile::TempDir,
    count: AtomicU32,
}

const RIGHTS: &str = "
    host    all odd  127.0.0.1/32 scram-sha-256
    hostssl all tess 127.0.0.1/32 trust
    host    all tess 127.0.0.1/32 reject
    host    all ada  127.0.0.1/32 scram-sha-256
    host    all all  127.0.0.1/32 trust
    local   all all               trust
";

impl Server {
    /// None where the test is skipped.
    fn shared() -> Option<&'static Server> {
        static SHARED: OnceLock<Option<Server>> = OnceLock::new();
        SHARED.get_or_init(Server::start).as_ref()
    }

    fn start() -> Option<Server> {
        let cluster = Cluster::start(&[("fsync", "off"), ("unix_socket_directories", ".")])?;
        let papers = encryption::papers();
        for (paper, name) in [
            ("localhost.crt", "server.crt"),
            ("localhost.key", "server.key"),
        ] {
            let paper = fs::read_to_string(papers.path().join(paper)).unwrap();
            cluster.place(name, &paper);
        }
        cluster.place("postgresql.auto.conf", "ssl = on\n");
        cluster.place("pg_hba.conf", RIGHTS);
        cluster.restart();
        let server = Server {
            cluster,
            papers,
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

    /// A database with nothing in it; tells its name.
    fn database(&self) -> String {
        self.database_with("")
    }

    /// As [`Server::database`], with options of `CREATE DATABASE`.
    fn database_with(&self, options: &str) -> String {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let name = format!("shop_{number}");
        let made = format!("CREATE DATABASE {name} TEMPLATE template0 {options}");
        self.run("postgres", &made);
        name
    }

    /// `who` as `ada:password`, `rest` as `name?sslmode=disable`.
    fn url(&self, who: &str, rest: &str) -> String {
        format!("postgres://{who}@127.0.0.1:{}/{rest}", self.cluster.port())
    }

    /// A superuser's connection.
    fn client(&self, database: &str) -> Client {
        Client::connect(&self.cluster.url(database), NoTls).unwrap()
    }

    fn run(&self, database: &str, sql: &str) {
        self.client(database).batch_execute(sql).unwrap();
    }

    /// The names of all tables that are not Postgres' own.
    fn tables(&self, database: &str) -> Vec<String> {
        let rows = self.client(database).query(
            "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace NOT IN
                 ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) ORDER BY 1",
            &[],
        );
        rows.unwrap().iter().map(|row| row.get(0)).collect()
    }
}

/// A command that creates or opens the shop and ends, in a directory of its own.
fn shop(here: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
    command
        .args(["admin", "seed", "--products", "0", "--customers", "0"])
        .current_dir(here)
        .env("RUST_BACKTRACE", "1");
    command
}

/// The one line of a command that cannot open its database; it has made no other one.
#[track_caller]
fn refused(command: &mut Command) -> String {
    let (code, why) = exit_of(command);
    assert_eq!(code, 1, "{why}");
    why
}

/// As [`refused`], with the exit code.
#[track_caller]
fn exit_of(command: &mut Command) -> (i32, String) {
    let output = command.output().unwrap();
    let (out, err) = (texts(&output.stdout), texts(&output.stderr));
    assert_eq!(out, "", "{err}");
    assert!(!err.contains(SECRET), "the password is told: {err}");
    let why = err
        .strip_prefix("error: ")
        .unwrap_or_else(|| panic!("no line for people: {err}"));
    assert_eq!(why.lines().count(), 1, "{err}");
    for inner in ["panicked", "backtrace", ".rs:", "went wrong on our side"] {
        assert!(!why.contains(inner), "{why}");
    }
    let home = command.get_current_dir().unwrap().join("shop-data");
    assert!(!home.join("shop.db").exists(), "nothing was made instead");
    assert!(!home.join("keys").exists(), "no secret was made");
    (output.status.code().unwrap(), why.trim_end().to_owned())
}

/// The one line about a setting that is wrong in itself.
#[track_caller]
fn misread(command: &mut Command) -> String {
    let (code, why) = exit_of(command);
    assert_eq!(code, 2, "{why}");
    why
}

/// As [`misread`], for a URL in the environment.
#[track_caller]
fn misreads(url: &str) -> String {
    let here = tempfile::tempdir().unwrap();
    misread(shop(here.path()).env("SHOP_DATABASE_URL", url))
}

/// As [`refused`], for a URL in the environment.
#[track_caller]
fn refuses(url: &str) -> String {
    let here = tempfile::tempdir().unwrap();
    refused(shop(here.path()).env("SHOP_DATABASE_URL", url))
}

/// The shop opens this database, and so makes its tables there.
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
    assert!(out.starts_with("made 0 products"), "{out}");
}

fn texts(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Fails the test unless all of these words stand in the text.
#[track_caller]
fn names(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "no {word:?} in: {text}");
    }
}
