//! Throughput of checkouts, as a ratio to the same SQL statements without the shop.
//!
//! One unit is three cart writes and one order, each a durable commit. The shop receives them over HTTP, with
//! authentication, validation and an `Idempotency-Key` on the order. The baseline runs the same statements, including
//! the lookup and the insert of the key:
//!
//! - on `SQLite`, with 64 connections and with one: one thread with `rusqlite`, on a copy of the same file
//! - on Postgres (`-- --postgres`), with 16 connections: `pgbench`, with prepared statements, one per round trip, on a
//!   copy of the same database: once with all statements of the shop, and once with its writes only
//!
//! The shop and the baselines are measured alternating.
//!
//! `-- --orders` compares a shop with a million orders to one with a thousand.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark prints results, and panics on errors"
)]

mod baseline;
mod growth;
mod pgbench;
#[expect(dead_code, reason = "the other benchmarks use the rest")]
#[path = "../support/mod.rs"]
mod support;

use std::{path::Path, time::Duration};

use baseline::SqliteBaseline;
use pgbench::{Pgbench, Unit};
use support::{
    Measurement, Server, block_on,
    checkout::{Customers, fill_stock, seed},
    median,
    results::Row,
};

/// The numbers of connections, with the ratio that is the goal.
const SQLITE_CONNECTIONS: [(usize, f64); 2] = [(64, 5.0), (1, 0.5)];
const POSTGRES_CONNECTIONS: usize = 16;
const POSTGRES_GOAL: f64 = 0.9;

/// How many times as long as the median the slowest hundredth may take.
const P99_GOAL: f64 = 5.0;
const ROUNDS: usize = 3;
const BASELINE_DURATION: Duration = Duration::from_secs(3);
const SHOP_DURATION: Duration = Duration::from_secs(6);

fn main() {
    let has_argument = |name: &str| std::env::args().any(|argument| argument == name);
    block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let home = directory.path().join("shop");
        if has_argument("--postgres") {
            compare_on_postgres(&home).await;
        } else if has_argument("--orders") {
            growth::compare(directory.path()).await;
        } else {
            compare_on_sqlite(&home, &directory.path().join("baseline.db")).await;
        }
    });
}

async fn compare_on_sqlite(home: &Path, copy: &Path) {
    let password = seed(home, 10_000, SQLITE_CONNECTIONS[0].0, 0, &[]);
    fill_stock(&home.join("shop.db"));
    std::fs::copy(home.join("shop.db"), copy).expect("a copy of the file");
    let server = Server::shop(home);
    let mut baseline = SqliteBaseline::open(copy);
    let mut units_per_second = || baseline.run(BASELINE_DURATION);
    let mut baselines: [Baseline<'_>; 1] = [("bare loop", &mut units_per_second)];
    for (connections, goal) in SQLITE_CONNECTIONS {
        compare(&server, &password, connections, &mut baselines, goal).await;
    }
}

async fn compare_on_postgres(home: &Path) {
    let database = Pgbench::start();
    let environment = [("SHOP_DATABASE_URL", database.url("shop"))];
    let password = seed(home, 10_000, POSTGRES_CONNECTIONS, 0, &environment);
    database.fill_stock_and_copy();
    let server = Server::shop_with(home, &environment);
    let run = |unit| database.run(unit, POSTGRES_CONNECTIONS, BASELINE_DURATION);
    let (mut all, mut writes) = (|| run(Unit::AllStatements), || run(Unit::Writes));
    let mut baselines: [Baseline<'_>; 2] = [
        ("pgbench with all statements", &mut all),
        ("pgbench with the writes only", &mut writes),
    ];
    compare(
        &server,
        &password,
        POSTGRES_CONNECTIONS,
        &mut baselines,
        POSTGRES_GOAL,
    )
    .await;
}

/// The name of a baseline, and a run that returns units per second.
type Baseline<'a> = (&'static str, &'a mut dyn FnMut() -> f64);

/// Measures the shop and the baselines, alternating.
async fn compare(
    server: &Server,
    password: &str,
    connections: usize,
    baselines: &mut [Baseline<'_>],
    goal: f64,
) {
    let mut customers = Customers::sign_in(&server.address, connections, password).await;
    let mut ratios = vec![Vec::new(); baselines.len()];
    let mut rates = vec![Vec::new(); baselines.len()];
    let mut shops = Vec::new();
    for round in 1..=ROUNDS {
        let measured: Vec<f64> = baselines.iter_mut().map(|(_, run)| run()).collect();
        let pause = tokio::time::sleep(SHOP_DURATION);
        let ((), shop) = customers.check_out_during(pause).await;
        println!(
            "round {round}: shop {:.0} units/s (p50 {} µs, p99 {} µs)",
            shop.per_second, shop.p50_micros, shop.p99_micros,
        );
        for (index, (name, _)) in baselines.iter().enumerate() {
            let ratio = shop.per_second / measured[index];
            ratios[index].push(ratio);
            rates[index].push(measured[index]);
            println!("  {name}: {:.0} units/s, ratio {ratio:.2}", measured[index]);
        }
        shops.push(shop);
    }
    let shop = Measurement::median(&shops);
    let work = format!("checkout with {connections} connections");
    for (((name, _), ratios), rates) in baselines.iter().zip(ratios).zip(rates) {
        let (ratio, rate) = (median(ratios), median(rates));
        println!("{work}: {ratio:.2} × {name} (median of {ROUNDS})");
        Row::ratio(format!("{work} × {name}"), ratio, format!("{rate:.0}/s"))
            .with(&shop)
            .at_least(goal)
            .record();
    }
    let spread = f64::from(shop.p99_micros) / f64::from(shop.p50_micros);
    Row::ratio(format!("{work}: p99 × p50"), spread, "its p50")
        .with(&shop)
        .at_most(P99_GOAL)
        .record();
}
