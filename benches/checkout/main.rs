//! How fast the shop sells, against the limit of a bare loop.
//!
//! A unit is three cart writes and one order, each durable. The shop does them over HTTP, signed in
//! and validated; the limit does the same without HTTP. On `SQLite`, with 64 connections, it is one
//! thread that runs the same statements through `rusqlite` on a copy of the same file, with a durable
//! commit for each write. With `-- --postgres`, with 16 connections, it is `pgbench` with the same
//! statements, prepared. Both are measured in turn, and the ratio is what counts.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends where anything is amiss"
)]

mod bare;
mod pgbench;
#[path = "../support/mod.rs"]
mod support;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use bare::Bare;
use pgbench::Pgbench;
use support::{Connection, Dice, Server, load, median, request, run, shop as program};

const ON_SQLITE: usize = 64;
const ON_POSTGRES: usize = 16;
const ROUNDS: usize = 3;
const LIMIT_SPAN: Duration = Duration::from_secs(3);
const SHOP_SPAN: Duration = Duration::from_secs(6);

fn main() {
    let on_postgres = std::env::args().any(|argument| argument == "--postgres");
    run(async {
        let directory = tempfile::tempdir().expect("a directory");
        let home = directory.path().join("shop");
        if on_postgres {
            against_pgbench(&home).await;
        } else {
            against_the_bare_loop(&home, &directory.path().join("bare.db")).await;
        }
    });
}

async fn against_the_bare_loop(home: &Path, copy: &Path) {
    let password = seed(home, ON_SQLITE);
    fill_shelves(&home.join("shop.db"));
    std::fs::copy(home.join("shop.db"), copy).expect("a copy of the file");
    let server = Server::shop(home);
    let mut bare = Bare::open(copy);
    compare(&server, &password, ON_SQLITE, "bare loop", || {
        bare.rate(LIMIT_SPAN)
    })
    .await;
}

async fn against_pgbench(home: &Path) {
    let database = Pgbench::start();
    let environment = [("SHOP_DATABASE_URL", database.url("shop"))];
    let password = seed_on(home, ON_POSTGRES, &environment);
    database.fill_shelves();
    let server = Server::shop_on(home, &environment);
    compare(&server, &password, ON_POSTGRES, "pgbench", || {
        database.rate(ON_POSTGRES, LIMIT_SPAN)
    })
    .await;
}

/// Measures the shop and its limit in turn.
async fn compare(
    server: &Server,
    password: &str,
    customers: usize,
    name: &str,
    mut limit: impl FnMut() -> f64,
) {
    let products = all_products(&server.address).await;
    let mut tokens = Vec::new();
    let mut connections = Vec::new();
    for number in 1..=customers {
        let mut connection = Connection::open(&server.address).await;
        tokens.push(sign_in(&mut connection, number, password).await);
        connections.push(connection);
    }
    let mut ratios = Vec::new();
    for round in 1..=ROUNDS {
        let limit = limit();
        let (back, (rate, p50, p99)) = load(
            connections,
            SHOP_SPAN,
            |index, mut connection, until, tally| {
                let (token, products) = (tokens[index].clone(), products.clone());
                let mut dice = Dice((index * 7919 + round) as u64 + 1);
                async move {
                    while Instant::now() < until {
                        let started = Instant::now();
                        check_out(&mut connection, &token, &products, &mut dice).await;
                        tally.count(started.elapsed());
                    }
                    connection
                }
            },
        )
        .await;
        connections = back;
        ratios.push(rate / limit);
        println!(
            "round {round}: shop {rate:.0} units/s (p50 {p50} µs, p99 {p99} µs), \
             {name} {limit:.0} units/s, ratio {:.2}",
            rate / limit
        );
    }
    println!(
        "checkout: {:.2} × the {name} (median of {ROUNDS})",
        median(ratios)
    );
}

/// A shop of 10,000 products; tells the customers' password.
fn seed(home: &Path, customers: usize) -> String {
    seed_on(home, customers, &[])
}

fn seed_on(home: &Path, customers: usize, environment: &[(&str, String)]) -> String {
    let customers = customers.to_string();
    let arguments = [
        "admin",
        "seed",
        "--products",
        "10000",
        "--customers",
        &customers,
    ];
    let seeded = program(home, &arguments, environment);
    seeded["customerPassword"]
        .as_str()
        .expect("a password")
        .to_owned()
}

/// So much of everything that nothing sells out while it is measured.
fn fill_shelves(path: &Path) {
    let connection = rusqlite::Connection::open(path).expect("the file opens");
    connection
        .execute("UPDATE products SET stock = 1000000", [])
        .expect("an update");
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .expect("a checkpoint");
}

async fn all_products(address: &str) -> Vec<String> {
    let mut connection = Connection::open(address).await;
    let mut ids = Vec::new();
    for page in 1..=100 {
        let path = format!("/api/v1/products?limit=100&page={page}");
        let (status, body) = connection.call(&request("GET", &path, None, "")).await;
        assert_eq!(status, 200);
        let page: serde_json::Value = serde_json::from_slice(body).expect("JSON");
        let data = page["data"].as_array().expect("a page").iter();
        ids.extend(data.filter_map(|product| product["id"].as_str().map(str::to_owned)));
    }
    ids
}

async fn sign_in(connection: &mut Connection, number: usize, password: &str) -> String {
    let body = format!(r#"{{"email":"customer{number}@example.com","password":"{password}"}}"#);
    let (status, body) = connection
        .call(&request("POST", "/api/v1/auth/login", None, &body))
        .await;
    assert_eq!(status, 200);
    let answer: serde_json::Value = serde_json::from_slice(body).expect("JSON");
    answer["accessToken"].as_str().expect("a token").to_owned()
}

async fn check_out(connection: &mut Connection, token: &str, products: &[String], dice: &mut Dice) {
    for _ in 0..3 {
        let product = &products[dice.below(products.len())];
        let body = format!(r#"{{"productId":"{product}"}}"#);
        let call = request("POST", "/api/v1/cart", Some(token), &body);
        let (status, body) = connection.call(&call).await;
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(body));
    }
    let (status, body) = connection
        .call(&request("POST", "/api/v1/orders", Some(token), ""))
        .await;
    assert_eq!(status, 201, "{}", String::from_utf8_lossy(body));
}
