//! Throughput of checkouts, as a ratio to the same SQL statements without the shop.
//!
//! One unit is three cart writes and one order, each a durable commit. The shop receives them over HTTP, with
//! authentication, validation and an `Idempotency-Key` on the order. The baseline runs the same statements, including
//! the lookup and the insert of the key:
//!
//! - on `SQLite`, with 64 connections: one thread with `rusqlite`, on a copy of the same file
//! - on Postgres (`-- --postgres`), with 16 connections: `pgbench`, with prepared statements, one per round trip, on a
//!   copy of the same database: once with all statements of the shop, and once with its writes only
//!
//! The shop and the baselines are measured alternating.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark prints results, and panics on errors"
)]

mod baseline;
mod pgbench;
#[path = "../support/mod.rs"]
mod support;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use baseline::SqliteBaseline;
use pgbench::{Pgbench, Unit};
use support::{Connection, Rng, Server, block_on, median, request, run_load, run_shop};

const SQLITE_CONNECTIONS: usize = 64;
const POSTGRES_CONNECTIONS: usize = 16;
const ROUNDS: usize = 3;
const BASELINE_DURATION: Duration = Duration::from_secs(3);
const SHOP_DURATION: Duration = Duration::from_secs(6);

fn main() {
    let on_postgres = std::env::args().any(|argument| argument == "--postgres");
    block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let home = directory.path().join("shop");
        if on_postgres {
            compare_on_postgres(&home).await;
        } else {
            compare_on_sqlite(&home, &directory.path().join("baseline.db")).await;
        }
    });
}

async fn compare_on_sqlite(home: &Path, copy: &Path) {
    let password = seed(home, SQLITE_CONNECTIONS, &[]);
    fill_stock(&home.join("shop.db"));
    std::fs::copy(home.join("shop.db"), copy).expect("a copy of the file");
    let server = Server::shop(home);
    let mut baseline = SqliteBaseline::open(copy);
    let mut units_per_second = || baseline.run(BASELINE_DURATION);
    let mut baselines: [Baseline<'_>; 1] = [("bare loop", &mut units_per_second)];
    compare(&server, &password, SQLITE_CONNECTIONS, &mut baselines).await;
}

async fn compare_on_postgres(home: &Path) {
    let database = Pgbench::start();
    let environment = [("SHOP_DATABASE_URL", database.url("shop"))];
    let password = seed(home, POSTGRES_CONNECTIONS, &environment);
    database.fill_stock_and_copy();
    let server = Server::shop_with(home, &environment);
    let run = |unit| database.run(unit, POSTGRES_CONNECTIONS, BASELINE_DURATION);
    let (mut all, mut writes) = (|| run(Unit::AllStatements), || run(Unit::Writes));
    let mut baselines: [Baseline<'_>; 2] = [
        ("pgbench with all statements", &mut all),
        ("pgbench with the writes only", &mut writes),
    ];
    compare(&server, &password, POSTGRES_CONNECTIONS, &mut baselines).await;
}

/// The name of a baseline, and a run that returns units per second.
type Baseline<'a> = (&'static str, &'a mut dyn FnMut() -> f64);

/// Measures the shop and the baselines, alternating.
async fn compare(
    server: &Server,
    password: &str,
    customers: usize,
    baselines: &mut [Baseline<'_>],
) {
    let products = product_ids(&server.address).await;
    let mut tokens = Vec::new();
    let mut connections = Vec::new();
    for number in 1..=customers {
        let mut connection = Connection::open(&server.address).await;
        tokens.push(sign_in(&mut connection, number, password).await);
        connections.push(connection);
    }
    let mut ratios = vec![Vec::new(); baselines.len()];
    for round in 1..=ROUNDS {
        let rates: Vec<f64> = baselines.iter_mut().map(|(_, run)| run()).collect();
        let (returned, shop) = run_load(
            connections,
            SHOP_DURATION,
            |index, mut connection, deadline, latencies| {
                let (token, products) = (tokens[index].clone(), products.clone());
                let mut rng = Rng((index * 7919 + round) as u64 + 1);
                async move {
                    while Instant::now() < deadline {
                        let started = Instant::now();
                        check_out(&mut connection, &token, &products, &mut rng).await;
                        latencies.record(started.elapsed());
                    }
                    connection
                }
            },
        )
        .await;
        connections = returned;
        println!(
            "round {round}: shop {:.0} units/s (p50 {} µs, p99 {} µs)",
            shop.per_second, shop.p50_micros, shop.p99_micros,
        );
        for (index, (name, _)) in baselines.iter().enumerate() {
            let ratio = shop.per_second / rates[index];
            ratios[index].push(ratio);
            println!("  {name}: {:.0} units/s, ratio {ratio:.2}", rates[index]);
        }
    }
    for ((name, _), ratios) in baselines.iter().zip(ratios) {
        println!(
            "checkout: {:.2} × {name} (median of {ROUNDS})",
            median(ratios)
        );
    }
}

/// Creates a shop of 10,000 products. Returns the password of its customers.
fn seed(home: &Path, customers: usize, environment: &[(&str, String)]) -> String {
    let customers = customers.to_string();
    let arguments = [
        "admin",
        "seed",
        "--products",
        "10000",
        "--customers",
        &customers,
    ];
    let report = run_shop(home, &arguments, environment);
    report["customerPassword"]
        .as_str()
        .expect("a password")
        .to_owned()
}

/// Sets the stock so high that no product sells out.
fn fill_stock(path: &Path) {
    let connection = rusqlite::Connection::open(path).expect("the file opens");
    connection
        .execute("UPDATE products SET stock = 1000000", [])
        .expect("an update");
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .expect("a checkpoint");
}

async fn product_ids(address: &str) -> Vec<String> {
    let mut connection = Connection::open(address).await;
    let mut ids = Vec::new();
    for page in 1..=100 {
        let path = format!("/api/v1/products?limit=100&page={page}");
        let (status, body) = connection.send(&request("GET", &path, &[], "")).await;
        assert_eq!(status, 200);
        let page: serde_json::Value = serde_json::from_slice(body).expect("JSON");
        let data = page["data"].as_array().expect("a page").iter();
        ids.extend(data.filter_map(|product| product["id"].as_str().map(str::to_owned)));
    }
    ids
}

/// Returns the value of the `Authorization` header.
async fn sign_in(connection: &mut Connection, number: usize, password: &str) -> String {
    let body = format!(r#"{{"email":"customer{number}@example.com","password":"{password}"}}"#);
    let (status, body) = connection
        .send(&request("POST", "/api/v1/auth/login", &[], &body))
        .await;
    assert_eq!(status, 200);
    let session: serde_json::Value = serde_json::from_slice(body).expect("JSON");
    let token = session["accessToken"].as_str().expect("a token");
    format!("Bearer {token}")
}

/// Runs one unit: three cart writes and one order.
async fn check_out(connection: &mut Connection, token: &str, products: &[String], rng: &mut Rng) {
    let authorization = ("authorization", token);
    for _ in 0..3 {
        let product = &products[rng.below(products.len())];
        let body = format!(r#"{{"productId":"{product}"}}"#);
        let add = request("POST", "/api/v1/cart", &[authorization], &body);
        let (status, body) = connection.send(&add).await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(body));
    }
    let key = rng.hex_key();
    let headers = [authorization, ("idempotency-key", key.as_str())];
    let order = request("POST", "/api/v1/orders", &headers, "");
    let (status, body) = connection.send(&order).await;
    assert_eq!(status, 201, "{}", String::from_utf8_lossy(body));
}
