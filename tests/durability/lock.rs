//! Another program that holds the database's lock: each request waits for it as long as one may, and no
//! longer, however many wait before it.

use std::time::{Duration, Instant};

use serde_json::json;
use shop::infra::db::Options;

use crate::support::{Engine, TestShop, options};

/// How long a write may wait for the lock.
const BUSY: Duration = Duration::from_secs(1);

async fn shop_on(engine: Engine) -> Option<TestShop> {
    let options = Options {
        busy: BUSY,
        ..options()
    };
    TestShop::with(engine, &[("rate_limit", "off")], options).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_write_waits_for_a_lock_from_its_own_arrival_on_sqlite() {
    each_write_waits_by_itself(shop_on(Engine::Sqlite).await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_write_waits_for_a_lock_from_its_own_arrival_on_postgres() {
    if let Some(shop) = shop_on(Engine::Postgres).await {
        each_write_waits_by_itself(shop).await;
    }
}

async fn each_write_waits_by_itself(shop: TestShop) {
    let kettle = shop.product("Kettle", 100, 1000).await;
    let ada = shop.customer("ada").await;
    let raw = shop.raw_db();
    raw.hold("cart_items");
    let add = async |late: u64| {
        tokio::time::sleep(Duration::from_millis(late)).await;
        let arrived = Instant::now();
        let answer = ada.post("/cart", json!({ "productId": kettle })).await;
        answer.is_problem(503, "unavailable");
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
        arrived.elapsed()
    };
    // More than there are threads, and none joins the group of one before, which waits already.
    let waited = futures_util::future::join_all((0..20).map(|number| add(number * 30))).await;
    for waited in waited {
        assert!(waited >= BUSY * 9 / 10, "{waited:?}: it gives up too early");
        assert!(
            waited < BUSY * 17 / 10,
            "{waited:?}: it waits behind the others"
        );
    }
    let shown = ada.get("/cart").await;
    assert_eq!(shown.number("/itemCount"), 0, "reads go on");
    raw.let_go();
    let body = json!({ "productId": kettle });
    assert_eq!(ada.post("/cart", body).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_that_wait_for_a_lock_are_done_when_it_is_free() {
    let shop = shop_on(Engine::Sqlite).await.unwrap();
    let kettle = shop.product("Kettle", 100, 1000).await;
    let ada = shop.customer("ada").await;
    let raw = shop.raw_db();
    raw.hold("cart_items");
    let add = async || {
        let body = json!({ "productId": kettle });
        ada.post("/cart", body).await.status
    };
    let adds = futures_util::future::join_all((0..40).map(|_| add()));
    let free = async {
        tokio::time::sleep(BUSY / 2).await;
        raw.let_go();
    };
    let (statuses, ()) = tokio::join!(adds, free);
    assert_eq!(statuses, [200; 40]);
    assert_eq!(ada.get("/cart").await.number("/itemCount"), 40);
}
