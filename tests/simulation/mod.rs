//! The shop against customers, admins and a payment provider that are all made up: whatever they do, in
//! whatever order it arrives, money, stock and states agree in the end.

mod load;
mod model;
mod provider;
mod server;
mod step;
mod story;
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

use self::story::Story;
use crate::support::{Engine, TestShop};

/// How many random stories are told; more by `SHOP_TEST_STORIES`.
fn how_many() -> u32 {
    std::env::var("SHOP_TEST_STORIES").map_or(24, |stories| stories.parse().unwrap())
}

/// How many stories are told in one shop.
const IN_ONE_SHOP: usize = 30;

/// Fails the test unless `shop verify` found that all is well.
#[track_caller]
fn is_verified(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

/// Tells random stories, one after the other in one shop; `story` gets the shop and how late it is there,
/// and gives both back.
fn tell<Steps: std::fmt::Debug, Told: Future<Output = (TestShop, Duration)>>(
    engine: Engine,
    steps: impl Strategy<Value = Steps>,
    story: impl Fn(TestShop, Duration, Steps) -> Told,
) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let Some(shop) = runtime.block_on(TestShop::on(engine)) else {
        return;
    };
    let kept = Mutex::new(Some((shop, Duration::ZERO)));
    let told = AtomicUsize::new(0);
    let config = Config {
        cases: how_many(),
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&steps, |steps| {
            // A story that failed has taken its shop with it; a shorter one is told in another. So is
            // one after many others, where every look would take longer and longer.
            let is_fresh = told.fetch_add(1, Ordering::SeqCst) % IN_ONE_SHOP == IN_ONE_SHOP - 1;
            let found = kept.lock().unwrap().take();
            let end = async {
                let (shop, now) = match found.filter(|_| !is_fresh) {
                    Some(found) => found,
                    None => (TestShop::on(engine).await.unwrap(), Duration::ZERO),
                };
                story(shop, now, steps).await
            };
            *kept.lock().unwrap() = Some(runtime.block_on(end));
            Ok(())
        })
        .unwrap();
    let last = kept.into_inner().unwrap();
    runtime.block_on(async { drop(last) });
}

/// Holds the shop to the model of it, step by step.
fn hold_to_the_model(engine: Engine) {
    tell(engine, step::steps(), async |shop, now, steps| {
        let mut story = Story::begin(shop, now).await;
        for step in steps {
            story.goes_on(step).await;
            story.agrees().await;
        }
        story.duplicates_went_back();
        let (shop, now) = story.end();
        shop.raw_db().assert_sound();
        is_verified(&shop.run(&["verify"]));
        (shop, now)
    });
}

#[test]
fn money_stock_and_states_agree_on_sqlite() {
    hold_to_the_model(Engine::Sqlite);
}

#[test]
fn money_stock_and_states_agree_on_postgres() {
    hold_to_the_model(Engine::Postgres);
}
