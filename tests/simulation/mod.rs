//! Simulates customers, admins and a payment provider. Whatever they do, and in whatever order webhooks arrive,
//! money, stock and order statuses are consistent in the end.
//!
//! - `scenario` compares random scenarios with a simple `model` of the shop, after every `step`.
//! - `transitions` checks that orders change their status only as allowed.
//! - `load` runs many customers against the real program, which is killed again and again.
//! - `server` checks a few races on the real program.

mod load;
mod model;
mod provider;
mod scenario;
mod server;
mod step;
mod transitions;

use std::{
    process::Output,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use proptest::{
    strategy::Strategy,
    test_runner::{Config, TestRunner},
};

use self::scenario::Scenario;
use crate::support::{Engine, TestShop};

/// Returns the number of random scenarios; `SHOP_TEST_SCENARIOS` overrides it.
fn scenario_count() -> u32 {
    std::env::var("SHOP_TEST_SCENARIOS").map_or(24, |scenarios| scenarios.parse().unwrap())
}

/// How many scenarios run in one shop.
const SCENARIOS_PER_SHOP: usize = 30;

/// Fails the test unless `shop verify` reported no problem.
#[track_caller]
fn assert_verified(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

/// Runs random scenarios one after the other. `scenario` gets the shop and the time since its start, and returns
/// both.
fn run_scenarios<Steps: std::fmt::Debug, Run: Future<Output = (TestShop, Duration)>>(
    engine: Engine,
    steps: impl Strategy<Value = Steps>,
    scenario: impl Fn(TestShop, Duration, Steps) -> Run,
) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let Some(shop) = runtime.block_on(TestShop::on(engine)) else {
        return;
    };
    let current = Mutex::new(Some((shop, Duration::ZERO)));
    let started = AtomicUsize::new(0);
    let config = Config {
        cases: scenario_count(),
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&steps, |steps| {
            // A failed scenario drops its shop, so proptest shrinks it in a fresh one. The shop is also replaced after
            // some scenarios, because its growing data would slow down every comparison.
            let is_fresh = started.fetch_add(1, Ordering::SeqCst) % SCENARIOS_PER_SHOP
                == SCENARIOS_PER_SHOP - 1;
            let previous = current.lock().unwrap().take();
            let end = async {
                let (shop, now) = match previous.filter(|_| !is_fresh) {
                    Some(previous) => previous,
                    None => (TestShop::on(engine).await.unwrap(), Duration::ZERO),
                };
                scenario(shop, now, steps).await
            };
            *current.lock().unwrap() = Some(runtime.block_on(end));
            Ok(())
        })
        .unwrap();
    let last = current.into_inner().unwrap();
    runtime.block_on(async { drop(last) });
}

/// Compares the shop with the model after every step.
fn compare_with_model(engine: Engine) {
    run_scenarios(engine, step::steps(), async |shop, now, steps| {
        let mut scenario = Scenario::start(shop, now).await;
        for step in steps {
            scenario.perform(step).await;
            scenario.assert_matches_model().await;
        }
        scenario.assert_duplicates_refunded();
        let (shop, now) = scenario.end();
        shop.raw_db().assert_invariants();
        assert_verified(&shop.run(&["verify"]));
        (shop, now)
    });
}

#[test]
fn orders_match_the_model_on_sqlite() {
    compare_with_model(Engine::Sqlite);
}

#[test]
fn orders_match_the_model_on_postgres() {
    compare_with_model(Engine::Postgres);
}
