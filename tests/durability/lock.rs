//! Another process holds the database lock: each request waits for its own lock timeout, however many are
//! queued.

use std::time::{Duration, Instant};

use serde_json::json;
use shop::infra::db::Options;

use crate::support::{Engine, TestShop, options};

/// The lock timeout of a write.
const LOCK_TIMEOUT: Duration = Duration::from_secs(1);

async fn shop_on(engine: Engine) -> Option<TestShop> {
    let options = Options {
        lock_timeout: LOCK_TIMEOUT,
        ..options()
    };
    TestShop::with(engine, &[("rate_limit", "off")], options).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lock_timeout_counts_from_each_writes_arrival_on_sqlite() {
    each_write_times_out_by_itself(shop_on(Engine::Sqlite).await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lock_timeout_counts_from_each_writes_arrival_on_postgres() {
    if let Some(shop) = shop_on(Engine::Postgres).await {
        each_write_times_out_by_itself(shop).await;
    }
}

async fn each_write_times_out_by_itself(shop: TestShop) {
    let kettle = shop.product("Kettle", 100, 1000).await;
    let ada = shop.customer("ada").await;
    let raw = shop.raw_db();
    raw.hold("cart_lines");
    let add = async |delay: u64| {
        tokio::time::sleep(Duration::from_millis(delay)).await;
        let arrived = Instant::now();
        let answer = ada.post("/cart", json!({ "productId": kettle })).await;
        answer.assert_problem(503, "unavailable");
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
        arrived.elapsed()
    };
    // More writes than threads. None joins the batch of an earlier one, which is already waiting.
    let waited = futures_util::future::join_all((0..20).map(|number| add(number * 30))).await;
    for waited in waited {
        assert!(
            waited >= LOCK_TIMEOUT * 9 / 10,
            "{waited:?}: timed out too early"
        );
        assert!(
            waited < LOCK_TIMEOUT * 17 / 10,
            "{waited:?}: waited for the others, too"
        );
    }
    let shown = ada.get("/cart").await;
    assert_eq!(shown.number("/itemCount"), 0, "reads go on");
    raw.release();
    let body = json!({ "productId": kettle });
    assert_eq!(ada.post("/cart", body).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_writes_run_when_the_lock_is_released() {
    let shop = shop_on(Engine::Sqlite).await.unwrap();
    let kettle = shop.product("Kettle", 100, 1000).await;
    let ada = shop.customer("ada").await;
    let raw = shop.raw_db();
    raw.hold("cart_lines");
    let add = async || {
        let body = json!({ "productId": kettle });
        ada.post("/cart", body).await.status
    };
    let adds = futures_util::future::join_all((0..40).map(|_| add()));
    let release = async {
        tokio::time::sleep(LOCK_TIMEOUT / 2).await;
        raw.release();
    };
    let (statuses, ()) = tokio::join!(adds, release);
    assert_eq!(statuses, [200; 40]);
    assert_eq!(ada.get("/cart").await.number("/itemCount"), 40);
}
