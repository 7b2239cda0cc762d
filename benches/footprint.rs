//! Memory of the server, and the time it takes to start.
//!
//! Memory is the greatest resident size of the process. Pages of the database file that SQLite maps would count; it
//! maps none. `BENCH_LARGE=100000` sets the number of products of the large shop.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark prints results, and panics on errors"
)]

#[expect(dead_code, reason = "the other benchmarks use the rest")]
mod support;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use support::{
    Connection, Server, block_on,
    checkout::{Customers, fill_stock, seed},
    median, request,
    results::Row,
    run_requests, run_shop,
};

const STARTS: usize = 11;
const CUSTOMERS: usize = 64;
const DURATION: Duration = Duration::from_secs(15);
const IDLE: Duration = Duration::from_secs(3);

/// Connections that read, and the number of pages that they read.
const READERS: usize = 32;
const PAGES: usize = 2000;

fn main() {
    block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let home = directory.path().join("shop");
        let password = seed(&home, 10_000, CUSTOMERS, 0, &[]);
        fill_stock(&home.join("shop.db"));
        measure_start(&home);
        measure_idle(&home).await;
        measure_checkout(&home, &password).await;
        measure_large(&directory.path().join("large")).await;
    });
}

fn measure_start(home: &Path) {
    let mut millis = Vec::new();
    for _ in 0..STARTS {
        let started = Instant::now();
        let server = Server::shop(home);
        millis.push(started.elapsed().as_secs_f64() * 1000.0);
        server.stop();
    }
    report(
        Row::value("start with 10,000 products", median(millis), "ms"),
        50.0,
    );
}

async fn measure_idle(home: &Path) {
    let server = Server::shop(home);
    tokio::time::sleep(IDLE).await;
    report(Row::value("memory when idle", peak(&server), "MiB"), 25.0);
}

async fn measure_checkout(home: &Path, password: &str) {
    let server = Server::shop(home);
    let mut customers = Customers::sign_in(&server.address, CUSTOMERS, password).await;
    let pause = tokio::time::sleep(DURATION);
    let ((), load) = customers.check_out_during(pause).await;
    let work = format!("memory while {CUSTOMERS} customers check out");
    report(Row::value(work, peak(&server), "MiB").with(&load), 120.0);
}

async fn measure_large(home: &Path) {
    let size: usize = std::env::var("BENCH_LARGE").map_or(1_000_000, |size| {
        size.parse().expect("`BENCH_LARGE` must be a number")
    });
    let count = size.to_string();
    let seed = ["admin", "seed", "--products", &count, "--customers", "0"];
    run_shop(home, &seed, &[]);
    let server = Server::shop(home);
    let mut connection = Connection::open(&server.address).await;
    let mut requests = Vec::new();
    let step = (size / 100 / PAGES).max(1);
    for page in (1..=PAGES).map(|number| number * step) {
        let path = format!("/api/v1/products?sort=price&limit=100&page={page}");
        requests.push(request("GET", &path, &[], ""));
    }
    let (status, _) = connection.send(&requests[0]).await;
    assert_eq!(status, 200);
    let requests = Arc::new(requests);
    let load = run_requests(&server.address, READERS, DURATION, &requests).await;
    let work = format!("memory while {READERS} connections read pages of {size} products");
    report(Row::value(work, peak(&server), "MiB").with(&load), 160.0);
}

fn report(row: Row, goal: f64) {
    println!("{}: {:.1} {}", row.work, row.value, row.unit);
    row.at_most(goal).record();
}

/// Returns the greatest memory of the server so far, in MiB.
fn peak(server: &Server) -> f64 {
    f64::from(u32::try_from(server.peak_memory() / 1024).expect("less than 4 TiB")) / 1024.0
}
