//! The cost of the session check, and the timing of sign-ins and password resets.
//!
//! Each request checks its session in its own transaction. The first figure is the time of `GET /me` with that check
//! over the time without it, in this process, on `SQLite`, alternating.
//!
//! Response times must not reveal whether an account exists. The second and third figure are the difference between
//! the medians for known and unknown email addresses, of 200 sign-ins and 200 password resets each, alternating.
//! The contract allows 5 ms.

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

use shop::{
    core::error::Result,
    domain::accounts::{self, CurrentUser, Email},
    infra::{
        config::{Config, Layer},
        db::Tx,
    },
    server::{self, DataDir, Parts},
};
use support::{Connection, Server, block_on, median, request, results::Row, run_shop};

const ROUNDS: usize = 7;
const READS: u32 = 20_000;
const SAMPLES: usize = 200;

fn main() {
    let directory = tempfile::tempdir().expect("a directory");
    let home = directory.path().join("shop");
    let seed = ["admin", "seed", "--products", "10", "--customers", "1000"];
    run_shop(&home, &seed, &[]);
    measure_session_check(&home);
    block_on(async {
        let server = Server::shop(&home);
        compare_timing(&server, "sign-in", "/api/v1/auth/login", 401, |email| {
            format!(r#"{{"email":"{email}","password":"wrong horse battery"}}"#)
        })
        .await;
        let forgot = |email: &str| format!(r#"{{"email":"{email}"}}"#);
        compare_timing(
            &server,
            "password reset",
            "/api/v1/auth/forgot-password",
            202,
            forgot,
        )
        .await;
    });
}

fn measure_session_check(home: &Path) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime starts");
    runtime.block_on(async {
        let data_dir = home.to_str().expect("the path is UTF-8");
        let layer = Layer::from_flags([("data_dir", data_dir)]);
        let config = Config::from_layers(&[layer]).expect("settings");
        let parts = Parts::new(config, "http://localhost".to_owned());
        let app = server::open(&DataDir::open(home).expect("a data directory"), parts)
            .await
            .expect("a shop");
        let shop = Arc::clone(&app);
        let email = Email::parse("customer1@example.com").expect("an address");
        let signed_in = app
            .db
            .write("bench.sign_in", move |tx| {
                let user = accounts::user_by_email(tx, &email)?;
                accounts::sign_in(tx, &shop.tokens, user.id)
            })
            .await
            .expect("a session");
        let claims = app.tokens.verify(&signed_in.access_token).expect("claims");
        let checked = |tx: &mut Tx<'_>, current: CurrentUser| -> Result<()> {
            accounts::user_by_id(tx, current.id).map(drop)
        };
        let unchecked =
            move |tx: &mut Tx<'_>| -> Result<()> { accounts::user_by_id(tx, claims.sub).map(drop) };
        let mut ratios = Vec::new();
        for _ in 0..ROUNDS {
            // Alternating, so that other load on the machine affects both.
            let mut elapsed = [Duration::ZERO; 2];
            for _ in 0..READS {
                let started = Instant::now();
                app.read_as(&claims, "bench.checked", checked)
                    .await
                    .expect("an answer");
                let between = Instant::now();
                app.db
                    .read("bench.unchecked", unchecked)
                    .await
                    .expect("an answer");
                elapsed[0] += between - started;
                elapsed[1] += between.elapsed();
            }
            ratios.push(elapsed[0].as_secs_f64() / elapsed[1].as_secs_f64());
        }
        let ratio = median(ratios);
        println!(
            "GET /me with the session check: {ratio:.2} × the time without it (median of {ROUNDS})"
        );
        Row::ratio("session check × a read without it", ratio, "the same read").record();
        app.stopping.cancel();
        app.db.close().await;
    });
}

/// Sends requests for known and unknown addresses, alternating, and prints the difference of the medians.
async fn compare_timing(
    server: &Server,
    name: &str,
    path: &str,
    expected: u16,
    body: impl Fn(&str) -> String,
) {
    let mut connection = Connection::open(&server.address).await;
    let mut millis = [Vec::new(), Vec::new()];
    for number in 1..=SAMPLES {
        for (kind, prefix) in ["customer", "nobody"].into_iter().enumerate() {
            let body = body(&format!("{prefix}{number}@example.com"));
            let started = Instant::now();
            let (status, _) = connection.send(&request("POST", path, &[], &body)).await;
            millis[kind].push(started.elapsed().as_secs_f64() * 1000.0);
            assert_eq!(status, expected);
        }
    }
    let [known, unknown] = millis.map(median);
    let difference = (known - unknown).abs();
    Row::value(
        format!("{name}: known and unknown addresses differ"),
        difference,
        "ms",
    )
    .at_most(5.0)
    .record();
    println!(
        "{name}: known and unknown addresses differ by {:.2} ms (5 ms allowed), \
         {:.1} % of the median ({SAMPLES} samples each)",
        difference,
        100.0 * difference / known,
    );
}
