//! What sessions cost, and whether time tells who has an account.
//!
//! That a session stands is looked up in the transaction of the work. The first figure is the work of
//! `GET /me` with that look-up over the same without it, both inside this process and on `SQLite`, taken
//! in turn. The second and third are how far the medians of 200 interleaved sign-ins, and of as many
//! requests for a new password, lie apart for an address that is known and one that is not; the contract
//! says 5 ms at most.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and ends where anything is amiss"
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
    domain::accounts::{self, Email},
    infra::{
        config::{Config, Layer},
        db::Tx,
    },
    server::{self, Home, Parts},
};
use support::{Connection, Server, median, request, run, shop as program};

const ROUNDS: usize = 7;
const READS: u32 = 20_000;
const SAMPLES: usize = 200;

fn main() {
    let directory = tempfile::tempdir().expect("a directory");
    let home = directory.path().join("shop");
    let seed = ["admin", "seed", "--products", "10", "--customers", "1000"];
    program(&home, &seed, &[]);
    cost_of_a_session(&home);
    run(async {
        let server = Server::shop(&home);
        apart(&server, "sign-in", "/api/v1/auth/login", 401, |email| {
            format!(r#"{{"email":"{email}","password":"wrong horse battery"}}"#)
        })
        .await;
        let forgot = |email: &str| format!(r#"{{"email":"{email}"}}"#);
        apart(
            &server,
            "forgotten password",
            "/api/v1/auth/forgot-password",
            202,
            forgot,
        )
        .await;
    });
}

fn cost_of_a_session(home: &Path) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime starts");
    runtime.block_on(async {
        let place = home.to_str().expect("a path that is text").to_owned();
        let layer = Layer::from([("data_dir".to_owned(), place)]);
        let config = Config::from_layers(&[layer]).expect("settings");
        let parts = Parts::new(config, "http://localhost".to_owned());
        let app = server::open(&Home::open(home).expect("a home"), parts)
            .await
            .expect("a shop");
        let shop = Arc::clone(&app);
        let email = Email::parse("customer1@example.com").expect("an address");
        let signed_in = app
            .db
            .write("bench.sign_in", move |tx| {
                let user = accounts::user_by_email(tx, &email)?;
                accounts::sign_in(tx, &shop, user.id)
            })
            .await
            .expect("a session");
        let claims = app.tokens.read(&signed_in.access_token).expect("claims");
        let checked = move |tx: &mut Tx<'_>| -> Result<()> {
            let visitor = accounts::authenticate(tx, &claims)?;
            accounts::user_by_id(tx, visitor.user).map(drop)
        };
        let unchecked =
            move |tx: &mut Tx<'_>| -> Result<()> { accounts::user_by_id(tx, claims.sub).map(drop) };
        let mut ratios = Vec::new();
        for _ in 0..ROUNDS {
            let mut spans = [Duration::ZERO; 2];
            // In turn, so that what else the machine does falls on both.
            for _ in 0..READS {
                let started = Instant::now();
                app.db
                    .read("bench.checked", checked)
                    .await
                    .expect("an answer");
                let between = Instant::now();
                app.db
                    .read("bench.unchecked", unchecked)
                    .await
                    .expect("an answer");
                spans[0] += between - started;
                spans[1] += between.elapsed();
            }
            ratios.push(spans[0].as_secs_f64() / spans[1].as_secs_f64());
        }
        println!(
            "the work of `GET /me` takes {:.2} × as long with the session looked up \
             (median of {ROUNDS})",
            median(ratios)
        );
        app.stopping.cancel();
        app.db.close().await;
    });
}

/// Asks for known and unknown addresses in turn, and prints how far the medians lie apart.
async fn apart(
    server: &Server,
    what: &str,
    path: &str,
    expected: u16,
    body: impl Fn(&str) -> String,
) {
    let mut connection = Connection::open(&server.address).await;
    let mut millis = [Vec::new(), Vec::new()];
    for number in 1..=SAMPLES {
        for (who, name) in ["customer", "nobody"].into_iter().enumerate() {
            let body = body(&format!("{name}{number}@example.com"));
            let started = Instant::now();
            let (status, _) = connection.call(&request("POST", path, None, &body)).await;
            millis[who].push(started.elapsed().as_secs_f64() * 1000.0);
            assert_eq!(status, expected);
        }
    }
    let [known, unknown] = millis.map(median);
    println!(
        "{what}: known and unknown addresses differ by {:.2} ms (of 5 ms allowed), \
         {:.1} % of the median (of {SAMPLES} each)",
        (known - unknown).abs(),
        100.0 * (known - unknown).abs() / known,
    );
}
