//! The real program as a child process.

use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

use super::{Database, TestShop};

/// The maximum run time of a command.
const TIMEOUT: Duration = Duration::from_mins(1);

/// A running `shop serve`; killed when dropped.
pub(crate) struct Process {
    child: Child,
    /// What it prints after its URL.
    stdout: Option<BufReader<ChildStdout>>,
    /// E.g. `http://127.0.0.1:40000`.
    pub(crate) url: String,
    /// The lines that it printed to stdout before it listened.
    pub(crate) printed: Vec<String>,
}

impl Process {
    /// Starts a server on a free port, without rate limits, and waits until it listens.
    pub(crate) fn start(directory: &Path) -> Process {
        Process::start_with(Command::new(env!("CARGO_BIN_EXE_shop")), directory)
    }

    /// Like [`Process::start`], on the data of a [`TestShop`].
    pub(crate) fn of(shop: &TestShop) -> Process {
        Process::of_with(shop, &[])
    }

    /// Like [`Process::of`], with these environment variables.
    pub(crate) fn of_with(shop: &TestShop, variables: &[(&str, &str)]) -> Process {
        let mut command = program_on(shop.database.as_deref());
        command.envs(variables.iter().copied());
        Process::start_with(command, shop.directory.path())
    }

    /// Like [`Process::start`], with `--demo`.
    pub(crate) fn start_demo(directory: &Path) -> Process {
        Process::spawn(
            Command::new(env!("CARGO_BIN_EXE_shop")),
            directory,
            &["--demo"],
        )
    }

    /// Like [`Process::start`], with a command that wraps the program, e.g. `strace`.
    pub(crate) fn start_with(command: Command, directory: &Path) -> Process {
        Process::spawn(command, directory, &[])
    }

    pub(super) fn spawn(command: Command, directory: &Path, more: &[&str]) -> Process {
        Process::listening(serve(command, directory, more))
    }

    /// Spawns a server command and waits until it listens.
    pub(crate) fn listening(mut command: Command) -> Process {
        let mut process = Process {
            child: command.spawn().unwrap(),
            stdout: None,
            url: String::new(),
            printed: Vec::new(),
        };
        let mut lines = BufReader::new(process.child.stdout.take().unwrap());
        let mut line = String::new();
        loop {
            line.clear();
            if lines.read_line(&mut line).unwrap() == 0 {
                let mut why = String::new();
                let mut errors = process.child.stderr.take().unwrap();
                errors.read_to_string(&mut why).unwrap();
                panic!("the server did not start: {why}");
            }
            if let Some(url) = line.trim().strip_prefix("listening on ") {
                url.clone_into(&mut process.url);
                process.stdout = Some(lines);
                return process;
            }
            process.printed.push(line.trim_end().to_owned());
        }
    }

    /// Returns the lines of stdout after the URL. May be called once.
    pub(crate) fn stdout_lines(&mut self) -> impl Iterator<Item = String> + use<> {
        let lines = self.stdout.take().unwrap();
        lines.lines().map_while(Result::ok)
    }

    /// Returns the lines of stderr. May be called once.
    pub(crate) fn stderr_lines(&mut self) -> impl Iterator<Item = String> + use<> {
        let errors = BufReader::new(self.child.stderr.take().unwrap());
        errors.lines().map_while(Result::ok)
    }

    /// Returns a memory field of `/proc/PID/status` in kB: `VmRSS:` is the current, `VmHWM:` the peak usage.
    pub(crate) fn memory(&self, field: &str) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let kilobytes = line.unwrap().split_whitespace().next().unwrap();
        kilobytes.parse().unwrap()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends SIGKILL and waits for the end.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        let done = Command::new("kill")
            .args(["-TERM", &self.pid().to_string()])
            .status()
            .unwrap();
        assert!(done.success());
    }

    pub(crate) fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Returns the command that serves a data directory on a free port, with additional arguments.
pub(crate) fn serve(mut command: Command, directory: &Path, more: &[&str]) -> Command {
    for (variable, value) in [("SHOP_LOG", "warn"), ("SHOP_RATE_LIMIT", "off")] {
        if command.get_envs().all(|(name, _)| name != variable) {
            command.env(variable, value);
        }
    }
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(directory)
        .args(more)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs a command that must end by itself within the timeout.
pub(crate) fn ends(mut command: Command) -> Output {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > TIMEOUT {
            child.kill().unwrap();
            panic!("the command did not end: {:?}", child.wait_with_output());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().unwrap()
}

/// Runs a subcommand of the program to its end.
pub(crate) fn run(directory: &Path, arguments: &[&str]) -> std::process::Output {
    run_with_input(directory, arguments, "")
}

/// Like [`run`], on a Postgres database if given.
pub(crate) fn run_on(
    directory: &Path,
    database: Option<&Database>,
    arguments: &[&str],
) -> std::process::Output {
    let mut command = program_on(database);
    command.args(arguments).arg("--data-dir").arg(directory);
    command.stdin(Stdio::null()).output().unwrap()
}

/// Returns the program's command, with the URL of a Postgres database if given. The URL contains a password,
/// so it is passed in the environment.
pub(crate) fn program_on(database: Option<&Database>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
    if let Some(database) = database {
        command.env("SHOP_DATABASE_URL", database.url());
    }
    command
}

/// Like [`run`], with standard input.
pub(crate) fn run_with_input(
    directory: &Path,
    arguments: &[&str],
    input: &str,
) -> std::process::Output {
    use std::io::Write;
    let mut child = Command::new(env!("CARGO_BIN_EXE_shop"))
        .args(arguments)
        .arg("--data-dir")
        .arg(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}
