//! Counts the instructions of hot operations with Valgrind's Callgrind, and compares them with `instructions.json`.
//!
//! A count hardly depends on the machine or its load, so an operation that has become more expensive by a tenth fails.
//! `UPDATE=1` writes the file. The counts are those of the development profile, whose program the tests need anyway:
//!
//! ```sh
//! cargo bench --profile dev --bench instructions
//! ```
//!
//! The server runs in Callgrind. A count includes all its threads.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark prints results, and panics on errors"
)]

#[expect(dead_code, reason = "the other benchmarks use the rest")]
mod support;

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use support::{
    Connection, Rng, Server, block_on,
    checkout::{fill_stock, product_ids, seed, sign_in},
    request, serve_command,
};

/// The checked-in counts.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.json");

/// How many instructions more than the checked-in number are accepted, in per cent.
const TOLERANCE: u64 = 10;

const REQUESTS: u64 = 50;

/// How long the background tasks of a start take.
const SETTLE: Duration = Duration::from_secs(3);

fn main() {
    if !cfg!(debug_assertions) {
        println!("instructions: run `cargo bench --profile dev --bench instructions`");
        return;
    }
    block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let home = directory.path().join("shop");
        let password = seed(&home, 1000, 1, 20, &[]);
        fill_stock(&home.join("shop.db"));
        let counts = count(&home, &password).await;
        if std::env::var_os("UPDATE").is_some() {
            let json = serde_json::to_string_pretty(&counts).expect("JSON");
            fs::write(FILE, json + "\n").expect("the file can be written");
            return;
        }
        compare(&counts);
    });
}

async fn count(home: &Path, password: &str) -> BTreeMap<&'static str, u64> {
    let profiler = Profiler::start(home);
    let mut connection = Connection::open(&profiler.server.address).await;
    let products = product_ids(&profiler.server.address, 1).await;
    let token = sign_in(&mut connection, 1, password).await;
    tokio::time::sleep(SETTLE).await;
    let authorization = ("authorization", token.as_str());
    let mut rng = Rng(1);
    let get = |path: &str| request("GET", &format!("/api/v1{path}"), &[authorization], "");
    let mut counts = BTreeMap::new();
    let mut operations = vec![
        ("health check", vec![request("GET", "/healthz", &[], "")]),
        ("first page", vec![get("/products")]),
        (
            "pages",
            (1..=REQUESTS)
                .map(|page| get(&format!("/products?page={page}")))
                .collect(),
        ),
        (
            "price range by price",
            (1..=REQUESTS)
                .map(|least| {
                    get(&format!(
                        "/products?minPrice={least}&maxPrice=500000&sort=price"
                    ))
                })
                .collect(),
        ),
        (
            "search",
            ["red", "cotton", "steel", "lamp"]
                .map(|word| get(&format!("/products?q={word}")))
                .into(),
        ),
        (
            "one product",
            vec![get(&format!("/products/{}", products[0]))],
        ),
        (
            "products",
            products
                .iter()
                .map(|id| get(&format!("/products/{id}")))
                .collect(),
        ),
        ("own orders", vec![get("/orders")]),
        ("live inventory", vec![get("/inventory/changes?after=0")]),
    ];
    let add = |id: &String| {
        let body = format!(r#"{{"productId":"{id}"}}"#);
        request("POST", "/api/v1/cart", &[authorization], &body)
    };
    operations.push(("add to the cart", products.iter().map(add).collect()));
    operations.push(("cart", vec![get("/cart")]));
    for (name, requests) in &operations {
        let count = profiler.count(&mut connection, requests).await;
        counts.insert(*name, count);
    }
    let mut orders = Vec::new();
    for number in 0..REQUESTS {
        for id in &products[..3] {
            profiler.send(&mut connection, &add(id)).await;
        }
        let key = rng.hex_key();
        let headers = [authorization, ("idempotency-key", key.as_str())];
        let order = request("POST", "/api/v1/orders", &headers, "");
        profiler.zero();
        profiler.send(&mut connection, &order).await;
        // The first order has the contents of the cart before.
        if number > 0 {
            orders.push(profiler.dump());
        }
    }
    orders.sort_unstable();
    counts.insert("order of three products", orders[orders.len() / 2]);
    counts
}

/// Prints all counts. Panics if one is too large.
fn compare(counts: &BTreeMap<&str, u64>) {
    let json = fs::read_to_string(FILE).expect("the checked-in counts");
    let expected: BTreeMap<String, u64> = serde_json::from_str(&json).expect("JSON");
    let mut worse = Vec::new();
    for (name, count) in counts {
        let expected = *expected.get(*name).expect("a count of each operation");
        println!(
            "{name}: {count} instructions, {}.{:02} × the checked-in number",
            count / expected,
            count * 100 / expected % 100
        );
        if count * 100 > expected * (100 + TOLERANCE) {
            worse.push(*name);
        }
    }
    assert!(
        worse.is_empty(),
        "more than {TOLERANCE} % more instructions: {worse:?}. If that is meant, set `UPDATE=1` and check the file in"
    );
}

/// The shop in Callgrind.
struct Profiler {
    server: Server,
    output: tempfile::TempDir,
}

impl Profiler {
    fn start(home: &Path) -> Profiler {
        let output = tempfile::tempdir().expect("a directory");
        let shop = serve_command(home);
        let mut command = Command::new("valgrind");
        command
            .args(["--tool=callgrind", "--quiet"])
            .arg(format!(
                "--callgrind-out-file={}",
                output.path().join("counts").display()
            ))
            .arg(shop.get_program())
            .args(shop.get_args())
            .envs(
                shop.get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            );
        Profiler {
            server: Server::start(command),
            output,
        }
    }

    /// Returns the instructions of one request, on average.
    async fn count(&self, connection: &mut Connection, requests: &[Vec<u8>]) -> u64 {
        // What the first request prepares is not counted.
        self.send(connection, &requests[0]).await;
        self.zero();
        for request in requests
            .iter()
            .cycle()
            .take(usize::try_from(REQUESTS).expect("few"))
        {
            self.send(connection, request).await;
        }
        self.dump() / REQUESTS
    }

    async fn send(&self, connection: &mut Connection, request: &[u8]) {
        let (status, body) = connection.send(request).await;
        assert!(
            matches!(status, 200 | 201),
            "{status}: {}",
            String::from_utf8_lossy(body)
        );
    }

    /// Sets the count to 0.
    fn zero(&self) {
        self.control("--zero");
    }

    /// Returns the count, and sets it to 0.
    fn dump(&self) -> u64 {
        self.control("--dump");
        let files = fs::read_dir(self.output.path()).expect("the directory");
        let files: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
        let mut count = 0;
        for file in files {
            let text = fs::read_to_string(&file).expect("a text");
            let totals = text
                .lines()
                .filter_map(|line| line.strip_prefix("totals: "));
            count += totals
                .map(|total| total.parse::<u64>().expect("a number"))
                .sum::<u64>();
            fs::remove_file(file).expect("the file can be removed");
        }
        assert!(count > 0, "Callgrind wrote no count");
        count
    }

    fn control(&self, request: &str) {
        let status = Command::new("callgrind_control")
            .args([request, &self.server.id().to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("callgrind_control runs");
        assert!(status.success(), "callgrind_control failed: {status}");
    }
}
