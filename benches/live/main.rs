//! Live inventory with many sockets on one server.
//!
//! - `--latency`: the time from a commit to the last of 10,000 sockets, over 100 orders, and the memory of an idle socket.
//!   The yardstick sends the same bytes with a bare tokio-tungstenite server.
//! - `--checkout`: 16 customers check out with and without 1,000 sockets, alternating in one run.
//!
//! Without a flag, both parts run. `--sockets 10000` sets the number of the first part. The open-file limit must exceed it.
//! A message has the time of its commit, in milliseconds, by the clock of this machine.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark prints results, and panics on errors"
)]

mod broadcaster;
mod sockets;
#[expect(dead_code, reason = "the other benchmarks use the rest")]
#[path = "../support/mod.rs"]
mod support;

use std::{path::Path, process::Command, time::Duration};

use support::{
    Connection, Server, block_on,
    checkout::{Customers, fill_stock, seed},
    median, request,
    results::Row,
};

use self::sockets::Sockets;

const ORDERS: usize = 100;

/// The pause between two orders, so that each is sent on its own.
const PAUSE: Duration = Duration::from_millis(300);

/// How long the memory of the server takes to settle.
const SETTLE: Duration = Duration::from_secs(3);

const CUSTOMERS: usize = 16;
const SOCKETS_WITH_CUSTOMERS: usize = 1000;
const ROUNDS: usize = 3;
const DURATION: Duration = Duration::from_secs(10);

fn main() {
    if std::env::var_os(broadcaster::VARIABLE).is_some() {
        return broadcaster::serve();
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let runs_all = !has("--latency") && !has("--checkout");
    let position = arguments
        .iter()
        .position(|argument| argument == "--sockets");
    let count = position.map_or(10_000, |at| {
        let number = arguments.get(at + 1).and_then(|number| number.parse().ok());
        number.expect("`--sockets` takes a number")
    });
    block_on(async {
        let directory = tempfile::tempdir().expect("a directory");
        let home = directory.path().join("shop");
        let password = seed(&home, 10_000, CUSTOMERS, 0, &[]);
        fill_stock(&home.join("shop.db"));
        if runs_all || has("--latency") {
            measure_latency(&home, count, &password).await;
        }
        if runs_all || has("--checkout") {
            measure_checkout(&home, &password).await;
        }
    });
}

/// Starts a shop for so many sockets: at most half of its connections may be sockets.
fn start(home: &Path, sockets: usize) -> Server {
    let connections = (2 * sockets + 100).to_string();
    Server::shop_with(home, &[("SHOP_MAX_CONNECTIONS", connections)])
}

async fn measure_latency(home: &Path, count: usize, password: &str) {
    let server = start(home, count);
    let mut customers = Customers::sign_in(&server.address, 1, password).await;
    tokio::time::sleep(SETTLE).await;
    let before = server.memory();
    let sockets = Sockets::connect(&server.address, "/api/v1/ws", count).await;
    tokio::time::sleep(SETTLE).await;
    let per_socket = server.memory().saturating_sub(before) / count;
    let mut shop = Vec::new();
    for _ in 0..ORDERS {
        customers.check_out_once().await;
        shop.push(sockets.last_delay().await);
        tokio::time::sleep(PAUSE).await;
    }
    let message = sockets.last_message();
    drop((sockets, server));

    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.env(broadcaster::VARIABLE, message);
    let server = Server::start(command);
    let sockets = Sockets::connect(&server.address, "/", count).await;
    let mut trigger = Connection::open(&server.address).await;
    let broadcast = request("POST", "/broadcast", &[], "");
    let mut bare = Vec::new();
    for _ in 0..ORDERS {
        let (status, _) = trigger.send(&broadcast).await;
        assert_eq!(status, 204);
        bare.push(sockets.last_delay().await);
        tokio::time::sleep(PAUSE).await;
    }
    let ratio = median(bare.clone()) / median(shop.clone());
    println!(
        "last of {count} sockets: median {:.0} ms, p99 {:.0} ms, bare tokio-tungstenite median {:.0} ms, p99 {:.0} ms, \
         rate {ratio:.2} × bare ({ORDERS} orders)",
        median(shop.clone()),
        p99(shop.clone()),
        median(bare.clone()),
        p99(bare.clone())
    );
    println!("an idle socket takes {:.1} KiB", kib(per_socket));
    let limit = format!("{:.0} ms", median(bare));
    Row::ratio(
        format!("live: rate with {count} sockets × bare tokio-tungstenite"),
        ratio,
        limit,
    )
    .at_least(0.7)
    .record();
    Row::value(
        format!("live: commit to the last of {count} sockets"),
        median(shop),
        "ms",
    )
    .at_most(150.0)
    .record();
    Row::value("live: an idle socket", kib(per_socket), "KiB")
        .at_most(12.0)
        .record();
}

async fn measure_checkout(home: &Path, password: &str) {
    let server = start(home, SOCKETS_WITH_CUSTOMERS);
    let mut customers = Customers::sign_in(&server.address, CUSTOMERS, password).await;
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let ((), alone) = customers
            .check_out_during(tokio::time::sleep(DURATION))
            .await;
        let sockets = Sockets::connect(&server.address, "/api/v1/ws", SOCKETS_WITH_CUSTOMERS).await;
        let (messages, bytes) = (sockets.messages(), sockets.bytes());
        let ((), watched) = customers
            .check_out_during(tokio::time::sleep(DURATION))
            .await;
        let messages = (sockets.messages() - messages) / DURATION.as_secs();
        let megabytes = kib(sockets.bytes() - bytes) / 1024.0 / DURATION.as_secs_f64();
        let slowest = sockets.slowest();
        println!(
            "{CUSTOMERS} customers check out, round {round}: {:.0}/s (p99 {} µs), with {SOCKETS_WITH_CUSTOMERS} sockets \
             {:.0}/s (p99 {} µs), {messages} messages/s of {megabytes:.0} MiB/s, the latest {slowest:.0} ms after its first commit",
            alone.per_second, alone.p99_micros, watched.per_second, watched.p99_micros
        );
        without.push(alone.per_second);
        with.push(watched.per_second);
    }
    let work =
        format!("live: {CUSTOMERS} customers check out with {SOCKETS_WITH_CUSTOMERS} sockets");
    let (with, without) = (median(with), median(without));
    let ratio = with / without;
    println!("{work}: {ratio:.2} × the rate without (medians of {ROUNDS})");
    Row::ratio(work, ratio, format!("{without:.0}/s without"))
        .at_least(0.8)
        .record();
}

fn p99(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() * 99 / 100]
}

fn kib(bytes: usize) -> f64 {
    f64::from(u32::try_from(bytes / 16).expect("few bytes")) / 64.0
}
