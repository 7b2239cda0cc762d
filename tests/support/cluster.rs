//! A Postgres server made from the installed binaries, kept by a shell that outlives the tests by as
//! long as it takes to clean up.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::Mutex,
};

/// For `initdb`, the first that works. ICU sorts words as people do, so a column that forgot to
/// bring its own collation is found out; `C.UTF-8` sorts as bytes do.
const LOCALES: [&str; 3] = [
    "--locale=C.UTF-8 --locale-provider=icu --icu-locale=en-US",
    "--locale=C.UTF-8",
    "--locale=C",
];

/// Asked for only where `pg_hba.conf` says so, which trusts everybody at first.
const PASSWORD: &str = "a-secret-of-the-tests";

/// A whole server of one's own, for tests that stop it or change its settings; gone with the
/// value, and in any case with the process.
pub(crate) struct Cluster {
    keeper: Mutex<Keeper>,
    home: PathBuf,
    data: PathBuf,
    port: u16,
}

impl Cluster {
    /// For a superuser, with a password, and with `sslmode=disable` at its end.
    pub(crate) fn url(&self, database: &str) -> String {
        let port = self.port;
        format!("postgres://postgres:{PASSWORD}@127.0.0.1:{port}/{database}?sslmode=disable")
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The data directory.
    pub(crate) fn directory(&self) -> &Path {
        &self.data
    }

    /// Writes a file into the data directory that only the server can read, as it demands of a
    /// key: `server.key`, `pg_hba.conf`, or settings as `postgresql.auto.conf`. They are read at
    /// the next [`Cluster::restart`].
    pub(crate) fn place(&self, name: &str, content: &str) {
        // made by the keeper, so that it is the server's own
        self.tell(&format!("umask 077; : >'data/{name}'")).unwrap();
        fs::write(self.data.join(name), content).unwrap();
    }

    /// As by a power cut: every connection breaks.
    pub(crate) fn stop(&self) {
        self.tell(STOP).unwrap();
    }

    /// Stops the server, unless it is stopped, and starts it on the same port.
    pub(crate) fn restart(&self) {
        drop(self.tell(STOP));
        self.tell(START).unwrap();
    }

    /// In a directory under `parent`, if not wherever is quickest.
    pub(super) fn make(
        parent: Option<&Path>,
        settings: &[(&str, &str)],
    ) -> Result<Cluster, String> {
        let (keeper, home) = Keeper::hire(parent)?;
        let mut cluster = Cluster {
            keeper: Mutex::new(keeper),
            data: home.join("data"),
            home,
            port: 0,
        };
        let init = "initdb -D data -U postgres -E UTF8 -A trust --pwfile=password --no-sync";
        let tries = LOCALES.map(|locale| format!("{init} {locale}"));
        let has_initdb = cluster.tell("command -v initdb");
        has_initdb.map_err(|_| "no initdb in the path or under /usr/lib/postgresql")?;
        cluster.tell(&format!("echo {PASSWORD} >password"))?;
        cluster.tell(&tries.join(" || "))?;
        cluster.configure(&[
            ("listen_addresses", "127.0.0.1"),
            ("unix_socket_directories", ""),
        ]);
        cluster.configure(settings);
        // somebody else may take the free port before the server does
        let mut started = cluster.start_on_a_free_port();
        for _ in 0..3 {
            started = started.or_else(|_| cluster.start_on_a_free_port());
        }
        started.map(|()| cluster)
    }

    fn start_on_a_free_port(&mut self) -> Result<(), String> {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        self.port = free.local_addr().unwrap().port();
        drop(free);
        self.configure(&[("port", &self.port.to_string())]);
        self.tell(START)
    }

    /// Adds lines to `postgresql.conf`; of two for one setting the later counts.
    fn configure(&self, settings: &[(&str, &str)]) {
        let path = self.data.join("postgresql.conf");
        let mut file = fs::File::options().append(true).open(path).unwrap();
        for (name, value) in settings {
            writeln!(file, "{name} = '{}'", value.replace('\'', "''")).unwrap();
        }
    }

    /// Has the keeper run a command; an error is what the log got meanwhile.
    fn tell(&self, command: &str) -> Result<(), String> {
        let log = || fs::read_to_string(self.home.join("log")).unwrap_or_default();
        let mut keeper = self.keeper.lock().unwrap();
        let before = log().len();
        writeln!(keeper.child.stdin.as_mut().unwrap(), "{command}").unwrap();
        if keeper.answer() == "0" {
            return Ok(());
        }
        Err(log()[before..].trim().replace('\n', " | "))
    }
}

/// A shell beside the tests that runs a server's commands one by one. Its standard input ends when
/// the tests do, however they end; then it stops the server and removes what it has made.
struct Keeper {
    child: Child,
    answers: BufReader<ChildStdout>,
}

/// The binaries of one version, as `initdb` is in the path or else the newest that Debian has put
/// beside it; a directory that is this user's own, in memory where two gigabytes of that are free
/// (a database is hundreds of files: made in 10 ms there, in up to 200 ms on a disk); then an exit
/// status for each line.
const KEEPER: &str = r#"
    trap '' HUP INT TERM PIPE
    PATH=$PATH:$(ls -d /usr/lib/postgresql/*/bin | sort -rV | tr '\n' ':')
    PATH=$(dirname "$(readlink -f "$(command -v initdb)")"):$PATH
    memory=$(df -Pk /dev/shm | awk 'NR == 2 && $4 > 2000000 { print "/dev/shm" }')
    for parent in "${TMPDIR:-${memory:-/tmp}}" /tmp; do
        home=$(mktemp -d "$parent/shop-postgres.XXXXXX") && break
    done
    cd "$home" || exit
    echo "$home"
    while read -r command; do
        eval "$command" </dev/null >>log 2>&1
        echo $?
    done
    pg_ctl stop -D data -m immediate
    cd / && rm -rf "$home"
"#;
const START: &str = "pg_ctl start -w -D data";
const STOP: &str = "pg_ctl stop -w -D data -m immediate";

impl Keeper {
    /// A keeper, and the directory it works in. Postgres refuses to run as root.
    fn hire(parent: Option<&Path>) -> Result<(Keeper, PathBuf), String> {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", KEEPER])
            .current_dir("/")
            .envs(parent.map(|parent| ("TMPDIR", parent)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // not to be interrupted with the tests
            .process_group(0);
        if user_id("-u", None) == Some(0) {
            let other = ["postgres", "nobody"]
                .into_iter()
                .find_map(|user| user_id("-u", Some(user)).zip(user_id("-g", Some(user))));
            let (user, group) = other.ok_or("root may not run it, and there is nobody else")?;
            shell.uid(user).gid(group);
        }
        let mut child = shell
            .spawn()
            .map_err(|error| format!("no shell: {error}"))?;
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut keeper = Keeper { child, answers };
        let home = PathBuf::from(keeper.answer());
        if home.as_os_str().is_empty() {
            return Err("nowhere to put it".to_owned());
        }
        Ok((keeper, home))
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // closes its standard input first
        drop(self.child.wait());
    }
}

fn user_id(which: &str, user: Option<&str>) -> Option<u32> {
    let told = Command::new("id").arg(which).args(user).output().ok()?;
    String::from_utf8(told.stdout).ok()?.trim().parse().ok()
}
