//! Shared by the benchmarks: the real server in a process of its own, and an HTTP client with little overhead.

pub(crate) mod checkout;
pub(crate) mod copied_orders;
pub(crate) mod results;

use std::{
    cell::Cell,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A server in a process of its own. Dropping the value kills the process.
pub(crate) struct Server {
    child: Child,
    /// Host and port, e.g. `127.0.0.1:40000`.
    pub(crate) address: String,
}

impl Server {
    /// Starts the shop on this data directory, behind a proxy on this machine. So each client can be a network of its own
    /// and stays below its rate limits.
    pub(crate) fn shop(directory: &Path) -> Server {
        Server::shop_with(directory, &[])
    }

    /// Like [`Server::shop`], with these environment variables.
    pub(crate) fn shop_with(directory: &Path, environment: &[(&str, String)]) -> Server {
        let mut command = serve_command(directory);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        Server::start(command)
    }

    /// Starts any server that prints `listening on http://…` when it is ready.
    pub(crate) fn start(command: Command) -> Server {
        Server::try_start(command).expect("the server prints its address")
    }

    /// Like [`Server::start`]. Returns `None` if the server ends instead.
    pub(crate) fn try_start(mut command: Command) -> Option<Server> {
        // `operations --log` measures what a line for each request costs.
        if command.get_envs().all(|(name, _)| name != "SHOP_LOG") {
            command.env("SHOP_LOG", "error");
        }
        let child = command
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut server = Server {
            child,
            address: String::new(),
        };
        let output = server.child.stdout.take().expect("stdout is piped");
        let lines = BufReader::new(output).lines().map_while(Result::ok);
        let parse_address = |line: String| {
            line.trim()
                .strip_prefix("listening on http://")
                .map(str::to_owned)
        };
        server.address = lines.into_iter().find_map(parse_address)?;
        Some(server)
    }

    /// Returns the identifier of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the memory that the process uses, in bytes.
    pub(crate) fn memory(&self) -> usize {
        self.status("VmRSS:")
    }

    /// Returns the greatest memory that the process has used, in bytes.
    pub(crate) fn peak_memory(&self) -> usize {
        self.status("VmHWM:")
    }

    /// Returns a size in the status of the process (`man 5 proc`).
    fn status(&self, name: &str) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("the process runs");
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        1024 * kilobytes.unwrap_or(0)
    }

    /// Stops the server gracefully, so that no WAL is left.
    pub(crate) fn stop(mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a signal");
        let status = self.child.wait().expect("the server ends");
        assert!(status.success(), "the server failed: {status}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Returns the command that serves this data directory.
pub(crate) fn serve_command(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(directory)
        .env("SHOP_TRUSTED_PROXIES", "127.0.0.1/32");
    command
}

/// Runs a command of the program, and returns its JSON output.
pub(crate) fn run_shop(
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

/// A persistent HTTP/1.1 connection.
pub(crate) struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    buffer: Vec<u8>,
    clients: Rng,
}

impl Connection {
    pub(crate) async fn open(address: &str) -> Connection {
        let stream = TcpStream::connect(address)
            .await
            .expect("the server accepts");
        stream.set_nodelay(true).expect("TCP_NODELAY can be set");
        let port = stream.local_addr().expect("an address").port();
        Connection {
            stream,
            request: Vec::new(),
            buffer: Vec::with_capacity(64 * 1024),
            clients: Rng(port.into()),
        }
    }

    /// Sends a request, and returns the status and the body of the response.
    pub(crate) async fn send(&mut self, request: &[u8]) -> (u16, &[u8]) {
        self.request.clear();
        self.request.extend_from_slice(request);
        set_client(&mut self.request, &mut self.clients);
        self.stream
            .write_all(&self.request)
            .await
            .expect("the server reads");
        self.buffer.clear();
        let (status, start, length) = loop {
            let read = self
                .stream
                .read_buf(&mut self.buffer)
                .await
                .expect("the server answers");
            assert!(read > 0, "the server closed the connection");
            if let Some(head) = parse_head(&self.buffer) {
                break head;
            }
        };
        while self.buffer.len() < start + length {
            let read = self
                .stream
                .read_buf(&mut self.buffer)
                .await
                .expect("the server answers");
            assert!(read > 0, "the server closed the connection");
        }
        (status, &self.buffer[start..start + length])
    }
}

/// Returns the status, and the offset and the length of the body.
fn parse_head(buffer: &[u8]) -> Option<(u16, usize, usize)> {
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

/// The client of an encoded request. [`Connection::send`] replaces it by one of a million.
const CLIENT: &str = "10.100.100.100";

/// Encodes a request. A body is sent as JSON.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: shop\r\n");
    let mut add = |name: &str, value: &str| {
        for part in [name, ": ", value, "\r\n"] {
            head.push_str(part);
        }
    };
    for (name, value) in headers {
        add(name, value);
    }
    add("x-forwarded-for", CLIENT);
    if !body.is_empty() {
        add("content-type", "application/json");
    }
    if !body.is_empty() || method == "POST" {
        add("content-length", &body.len().to_string());
    }
    format!("{head}\r\n{body}").into_bytes()
}

/// Replaces the client of an encoded request.
fn set_client(request: &mut [u8], rng: &mut Rng) {
    let mut clients = request.windows(CLIENT.len());
    let start = clients.position(|text| text == CLIENT.as_bytes());
    let start = start.expect("a request from `request`");
    let mut octet = || 100 + rng.below(100);
    let client = format!("10.{}.{}.{}", octet(), octet(), octet());
    request[start..start + CLIENT.len()].copy_from_slice(client.as_bytes());
}

/// A pseudorandom number generator (xorshift64*, Vigna 2016): the same numbers in every run.
#[derive(Clone)]
pub(crate) struct Rng(pub u64);

impl Rng {
    fn next_u64(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Returns a number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next_u64() >> 33).expect("31 bits fit") % bound
    }

    /// Returns random bytes, a multiple of eight.
    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count / 8)
            .flat_map(|_| self.next_u64().to_le_bytes())
            .collect()
    }

    /// Returns 32 random hexadecimal digits.
    pub(crate) fn hex_key(&mut self) -> String {
        format!("{:016x}{:016x}", self.next_u64(), self.next_u64())
    }
}

/// Throughput and latency of a run.
#[derive(Clone, Copy)]
pub(crate) struct Measurement {
    pub(crate) per_second: f64,
    pub(crate) p50_micros: u32,
    pub(crate) p99_micros: u32,
}

impl Measurement {
    /// Returns the medians of several runs.
    pub(crate) fn median(all: &[Measurement]) -> Measurement {
        let middle = |value: fn(&Measurement) -> u32| {
            let mut values: Vec<_> = all.iter().map(value).collect();
            values.sort_unstable();
            values[values.len() / 2]
        };
        Measurement {
            per_second: median(all.iter().map(|one| one.per_second).collect()),
            p50_micros: middle(|one| one.p50_micros),
            p99_micros: middle(|one| one.p99_micros),
        }
    }
}

/// The latencies of a run.
#[derive(Clone, Default)]
pub(crate) struct Latencies {
    micros: Arc<std::sync::Mutex<Vec<u32>>>,
}

impl Latencies {
    pub(crate) fn record(&self, latency: Duration) {
        let micros = u32::try_from(latency.as_micros()).unwrap_or(u32::MAX);
        self.micros.lock().expect("no worker panics").push(micros);
    }

    fn measurement(&self, elapsed: Duration) -> Measurement {
        let mut micros = self.micros.lock().expect("no worker panics").clone();
        micros.sort_unstable();
        let percentile = |percent: usize| {
            let at = micros.len() * percent / 100;
            micros.get(at).copied().unwrap_or_default()
        };
        let count = f64::from(u32::try_from(micros.len()).unwrap_or(u32::MAX));
        Measurement {
            per_second: count / elapsed.as_secs_f64(),
            p50_micros: percentile(50),
            p99_micros: percentile(99),
        }
    }
}

/// Tells the workers of a load when to stop.
#[derive(Clone, Default)]
pub(crate) struct Stop(Rc<Cell<bool>>);

impl Stop {
    pub(crate) fn is_requested(&self) -> bool {
        self.0.get()
    }
}

/// Runs one worker per connection until `until` is done, all on the current thread. Returns the connections and the
/// result of `until`.
pub(crate) async fn run_load<T, F, Fut>(
    connections: Vec<Connection>,
    until: impl Future<Output = T>,
    worker: F,
) -> (Vec<Connection>, T, Measurement)
where
    F: Fn(usize, Connection, Stop, Latencies) -> Fut,
    Fut: Future<Output = Connection> + 'static,
{
    let (latencies, stop) = (Latencies::default(), Stop::default());
    let started = Instant::now();
    let tasks: Vec<_> = connections
        .into_iter()
        .enumerate()
        .map(|(index, connection)| {
            tokio::task::spawn_local(worker(index, connection, stop.clone(), latencies.clone()))
        })
        .collect();
    let result = until.await;
    stop.0.set(true);
    let mut connections = Vec::new();
    for task in tasks {
        connections.push(task.await.expect("no worker panics"));
    }
    let measurement = latencies.measurement(started.elapsed());
    (connections, result, measurement)
}

/// Sends these requests in random order over new connections. All responses must have status 200.
pub(crate) async fn run_requests(
    address: &str,
    connection_count: usize,
    duration: Duration,
    requests: &Arc<Vec<Vec<u8>>>,
) -> Measurement {
    let mut connections = Vec::new();
    for _ in 0..connection_count {
        connections.push(Connection::open(address).await);
    }
    let (_, (), measurement) = run_load(
        connections,
        tokio::time::sleep(duration),
        |index, mut connection, stop, latencies| {
            let requests = Arc::clone(requests);
            let mut rng = Rng(index as u64 * 7919 + 1);
            async move {
                while !stop.is_requested() {
                    let started = Instant::now();
                    let (status, _) = connection.send(&requests[rng.below(requests.len())]).await;
                    assert_eq!(status, 200);
                    latencies.record(started.elapsed());
                }
                connection
            }
        },
    )
    .await;
    measurement
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Runs a benchmark on the current thread.
pub(crate) fn block_on(benchmark: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime starts");
    tokio::task::LocalSet::new().block_on(&runtime, benchmark);
}
