//! A temporary Postgres server from the installed binaries. A supervisor shell runs it, and cleans up however
//! the tests end.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    sync::Mutex,
};

/// The locales for `initdb`; the first that works is used. ICU sorts linguistically, which reveals a column
/// without an explicit collation; `C.UTF-8` sorts by bytes.
const LOCALES: [&str; 3] = [
    "--locale=C.UTF-8 --locale-provider=icu --icu-locale=en-US",
    "--locale=C.UTF-8",
    "--locale=C",
];

/// The superuser's password. `pg_hba.conf` requires none by default (`trust`).
const PASSWORD: &str = "a-secret-of-the-tests";

/// A server for tests that stop it or change its settings. It ends with the value, or at the latest with the
/// process.
pub(crate) struct Cluster {
    supervisor: Mutex<Supervisor>,
    home: PathBuf,
    data: PathBuf,
    port: u16,
}

impl Cluster {
    /// Returns the URL of a database, with the superuser's password, ending with `sslmode=disable`.
    pub(crate) fn url(&self, database: &str) -> String {
        let port = self.port;
        format!("postgres://postgres:{PASSWORD}@127.0.0.1:{port}/{database}?sslmode=disable")
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Returns the data directory.
    pub(crate) fn directory(&self) -> &Path {
        &self.data
    }

    /// Writes a file into the data directory with mode 0600, which Postgres requires for keys, e.g.
    /// `server.key`, `pg_hba.conf` or `postgresql.auto.conf`. The server reads it at the next
    /// [`Cluster::restart`].
    pub(crate) fn write_file(&self, name: &str, content: &str) {
        // Created by the supervisor, so that the server's user owns it.
        self.execute(&format!("umask 077; : >'data/{name}'"))
            .unwrap();
        fs::write(self.data.join(name), content).unwrap();
    }

    /// Stops the server immediately, like a crash: every connection breaks.
    pub(crate) fn stop(&self) {
        self.execute(STOP).unwrap();
    }

    /// Stops the server if it runs, and starts it on the same port.
    pub(crate) fn restart(&self) {
        drop(self.execute(STOP));
        self.execute(START).unwrap();
    }

    /// Creates and starts a server in a directory under `parent`; by default on the fastest file system.
    pub(super) fn make(
        parent: Option<&Path>,
        settings: &[(&str, &str)],
    ) -> Result<Cluster, String> {
        let (supervisor, home) = Supervisor::start(parent)?;
        let mut cluster = Cluster {
            supervisor: Mutex::new(supervisor),
            data: home.join("data"),
            home,
            port: 0,
        };
        let init = "initdb -D data -U postgres -E UTF8 -A trust --pwfile=password --no-sync";
        let attempts = LOCALES.map(|locale| format!("{init} {locale}"));
        let has_initdb = cluster.execute("command -v initdb");
        has_initdb.map_err(|_| "no initdb in the path or under /usr/lib/postgresql")?;
        cluster.execute(&format!("echo {PASSWORD} >password"))?;
        cluster.execute(&attempts.join(" || "))?;
        cluster.configure(&[
            ("listen_addresses", "127.0.0.1"),
            ("unix_socket_directories", ""),
        ]);
        cluster.configure(settings);
        // Another process may take the free port before the server does.
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
        self.execute(START)
    }

    /// Appends settings to `postgresql.conf`, where the last one wins.
    fn configure(&self, settings: &[(&str, &str)]) {
        let path = self.data.join("postgresql.conf");
        let mut file = fs::File::options().append(true).open(path).unwrap();
        for (name, value) in settings {
            writeln!(file, "{name} = '{}'", value.replace('\'', "''")).unwrap();
        }
    }

    /// Runs a command in the supervisor. Errors: the log output of the command.
    fn execute(&self, command: &str) -> Result<(), String> {
        let log = || fs::read_to_string(self.home.join("log")).unwrap_or_default();
        let mut supervisor = self.supervisor.lock().unwrap();
        let before = log().len();
        writeln!(supervisor.child.stdin.as_mut().unwrap(), "{command}").unwrap();
        if supervisor.read_line() == "0" {
            return Ok(());
        }
        Err(log()[before..].trim().replace('\n', " | "))
    }
}

/// A shell process that runs commands one by one. When its standard input ends, which happens however the
/// tests end, it stops the server and removes its files.
struct Supervisor {
    child: Child,
    output: BufReader<ChildStdout>,
}

/// The supervisor's script.
///
/// It uses the `initdb` in the path, or the newest of Debian's versions. It creates a private directory, in
/// memory if 2 GB are free: a database is hundreds of files, created in 10 ms there and in up to 200 ms on a
/// disk. Then it runs each line of its input and prints the exit status.
const SCRIPT: &str = r#"
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

impl Supervisor {
    /// Starts a supervisor. Returns it with its working directory. As root it switches to another user,
    /// because Postgres refuses to run as root.
    fn start(parent: Option<&Path>) -> Result<(Supervisor, PathBuf), String> {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", SCRIPT])
            .current_dir("/")
            .envs(parent.map(|parent| ("TMPDIR", parent)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Its own process group, so that Ctrl-C does not reach it.
            .process_group(0);
        if user_id("-u", None) == Some(0) {
            let other = ["postgres", "nobody"]
                .into_iter()
                .find_map(|user| user_id("-u", Some(user)).zip(user_id("-g", Some(user))));
            let (user, group) =
                other.ok_or("Postgres does not run as root, and there is no other user")?;
            shell.uid(user).gid(group);
        }
        let mut child = shell
            .spawn()
            .map_err(|error| format!("cannot start a shell: {error}"))?;
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut supervisor = Supervisor { child, output };
        let home = PathBuf::from(supervisor.read_line());
        if home.as_os_str().is_empty() {
            return Err("cannot create a directory".to_owned());
        }
        Ok((supervisor, home))
    }

    fn read_line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        // `wait` closes the standard input first.
        drop(self.child.wait());
    }
}

fn user_id(which: &str, user: Option<&str>) -> Option<u32> {
    let output = Command::new("id").arg(which).args(user).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}
