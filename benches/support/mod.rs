//! What the benchmarks share: the real server in a process of its own, and a client that costs
//! little beside it.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A server in a process of its own; it ends with this value.
pub(crate) struct Server {
    child: Child,
    /// As `127.0.0.1:40000`.
    pub(crate) address: String,
}

impl Server {
    /// The shop itself, as an operator would run it, without rate limits.
    pub(crate) fn shop(directory: &Path) -> Server {
        Server::shop_on(directory, &[])
    }

    /// As [`Server::shop`], with these in its environment.
    pub(crate) fn shop_on(directory: &Path, environment: &[(&str, String)]) -> Server {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(directory)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .env("SHOP_RATE_LIMIT", "off");
        Server::start(command)
    }

    /// Anything that prints `listening on http://…` once it does.
    pub(crate) fn start(mut command: Command) -> Server {
        let child = command
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut server = Server {
            child,
            address: String::new(),
        };
        let output = server.child.stdout.take().expect("its output is here");
        let lines = BufReader::new(output).lines().map_while(Result::ok);
        let listening = |line: String| {
            line.trim()
                .strip_prefix("listening on http://")
                .map(str::to_owned)
        };
        server.address = lines
            .into_iter()
            .find_map(listening)
            .expect("the server listens");
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Runs a command of the program and gives what it printed.
pub(crate) fn shop(
    directory: &Path,
    arguments: &[&str],
    environment: &[(&str, String)],
) -> serde_json::Value {
    let output = Command::new(env!("CARGO_BIN_EXE_shop"))
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .args(arguments)
        .args(["--json", "--data-dir"])
        .arg(directory)
        .stderr(Stdio::inherit())
        .output()
        .expect("the program runs");
    assert!(output.status.success(), "`shop {arguments:?}` failed");
    serde_json::from_slice(&output.stdout).expect("it prints JSON")
}

/// One kept-alive HTTP/1.1 connection.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: &str) -> Connection {
        let stream = TcpStream::connect(address)
            .await
            .expect("the server accepts");
        stream.set_nodelay(true).expect("a socket has this option");
        Connection {
            stream,
            buffer: Vec::with_capacity(64 * 1024),
        }
    }

    /// Sends a request and reads the whole answer: its status and body.
    pub(crate) async fn call(&mut self, request: &[u8]) -> (u16, &[u8]) {
        self.stream
            .write_all(request)
            .await
            .expect("the server reads");
        self.buffer.clear();
        let (status, from, length) = loop {
            let read = self
                .stream
                .read_buf(&mut self.buffer)
                .await
                .expect("the server answers");
            assert!(read > 0, "the server closed the connection");
            if let Some(head) = head_of(&self.buffer) {
                break head;
            }
        };
        while self.buffer.len() < from + length {
            let read = self
                .stream
                .read_buf(&mut self.buffer)
                .await
                .expect("the server answers");
            assert!(read > 0, "the server closed the connection");
        }
        (status, &self.buffer[from..from + length])
    }
}

/// Status, where the body begins, and how long it is.
fn head_of(buffer: &[u8]) -> Option<(u16, usize, usize)> {
    let end = buffer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&buffer[..end]).expect("a head is text");
    let status = head.get(9..12)?.parse().ok()?;
    let length = head
        .lines()
        .find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.parse().ok())?
        })
        .unwrap_or(0);
    Some((status, end + 4, length))
}

/// A request's bytes.
pub(crate) fn request(method: &str, path: &str, token: Option<&str>, body: &str) -> Vec<u8> {
    let token = token
        .map(|t| format!("authorization: Bearer {t}\r\n"))
        .unwrap_or_default();
    let length = body.len();
    let body_head = if body.is_empty() {
        String::new()
    } else {
        format!("content-type: application/json\r\ncontent-length: {length}\r\n")
    };
    let empty_post = if body.is_empty() && method == "POST" {
        "content-length: 0\r\n"
    } else {
        ""
    };
    format!("{method} {path} HTTP/1.1\r\nhost: shop\r\n{token}{body_head}{empty_post}\r\n{body}")
        .into_bytes()
}

/// Numbers that look random and are the same in every run.
#[derive(Clone)]
pub(crate) struct Dice(pub u64);

impl Dice {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        // xorshift64* (Vigna, 2016)
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(high).expect("31 bits fit") % bound
    }
}

/// Counts what was done in a measured span, and how long each took.
#[derive(Clone, Default)]
pub(crate) struct Tally {
    micros: Arc<std::sync::Mutex<Vec<u32>>>,
}

impl Tally {
    pub(crate) fn count(&self, took: Duration) {
        let micros = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
        self.micros.lock().expect("no counter panics").push(micros);
    }

    /// Units a second over `span`, the median and the 99th percentile in microseconds.
    pub(crate) fn rate(&self, span: Duration) -> (f64, u32, u32) {
        let mut micros = self.micros.lock().expect("no counter panics").clone();
        micros.sort_unstable();
        let at = |part: usize| {
            micros
                .get(micros.len() * part / 100)
                .copied()
                .unwrap_or_default()
        };
        (
            f64::from(u32::try_from(micros.len()).unwrap_or(u32::MAX)) / span.as_secs_f64(),
            at(50),
            at(99),
        )
    }
}

/// Lets all connections work for `span` on one thread and gives units a second, p50 and p99.
pub(crate) async fn load<F, Fut>(
    workers: Vec<Connection>,
    span: Duration,
    unit: F,
) -> (Vec<Connection>, (f64, u32, u32))
where
    F: Fn(usize, Connection, Instant, Tally) -> Fut,
    Fut: Future<Output = Connection> + 'static,
{
    let tally = Tally::default();
    let started = Instant::now();
    let until = started + span;
    let tasks: Vec<_> = workers
        .into_iter()
        .enumerate()
        .map(|(index, connection)| {
            tokio::task::spawn_local(unit(index, connection, until, tally.clone()))
        })
        .collect();
    let mut back = Vec::new();
    for task in tasks {
        back.push(task.await.expect("no worker panics"));
    }
    let rate = tally.rate(started.elapsed());
    (back, rate)
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Runs a benchmark on one thread.
pub(crate) fn run(benchmark: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime starts");
    tokio::task::LocalSet::new().block_on(&runtime, benchmark);
}
