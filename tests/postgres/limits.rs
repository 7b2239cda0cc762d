//! The settings of the shop's own connections, which override those of the server, and the response to a lock
//! timeout.

use std::time::Duration;

use serde_json::json;
use shop::{
    core::error::Result,
    infra::db::{self, params},
};

use crate::support::{Engine, TestShop, options};

async fn a_shop(storage: db::Options) -> Option<TestShop> {
    TestShop::with(Engine::Postgres, &[("rate_limit", "off")], storage).await
}

/// Changes a default for all new connections to the database.
fn set_for_all(shop: &TestShop, setting: &str) {
    shop.raw_db().run(&format!(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET {setting}', current_database()); END $$"
    ));
}

/// Returns a setting in a write, a read and a long read.
async fn settings(shop: &TestShop, name: &'static str) -> [String; 3] {
    let read_setting = move |tx: &mut db::Tx<'_>| -> Result<String> {
        let sql = "SELECT current_setting(?1) AS setting";
        let shown = tx.one(sql, params![name], |row| row.get("setting"));
        Ok(shown?.unwrap())
    };
    let db = &shop.app.db;
    [
        db.write("test.setting", read_setting).await.unwrap(),
        db.read("test.setting", read_setting).await.unwrap(),
        db.long_read("test.setting", read_setting).await.unwrap(),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_are_durable_regardless_of_the_database_defaults() {
    let Some(shop) = a_shop(options()).await else {
        return;
    };
    set_for_all(&shop, "synchronous_commit = off");
    assert_eq!(shop.raw_db().text("SHOW synchronous_commit"), "off");
    let shop = shop.restarted().await;
    assert_eq!(settings(&shop, "synchronous_commit").await, ["on"; 3]);

    // Stricter values, which wait for replicas, are kept.
    set_for_all(&shop, "synchronous_commit = remote_apply");
    let shop = shop.restarted().await;
    let kept = settings(&shop, "synchronous_commit").await;
    assert_eq!(kept, ["remote_apply"; 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_isolation_level_does_not_depend_on_the_databases_defaults() {
    let Some(shop) = a_shop(options()).await else {
        return;
    };
    set_for_all(&shop, "default_transaction_isolation = serializable");
    let shop = shop.restarted().await;
    let (committed, snapshot) = ("read committed", "repeatable read");
    let isolation = settings(&shop, "transaction_isolation").await;
    assert_eq!(isolation, [committed, snapshot, snapshot]);
    // Also for a single autocommitted statement.
    let default = settings(&shop, "default_transaction_isolation").await;
    assert_eq!(default, [committed; 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_have_timeouts() {
    let busy = Duration::from_millis(1234);
    let Some(shop) = a_shop(db::Options {
        lock_timeout: busy,
        ..options()
    })
    .await
    else {
        return;
    };
    let limits = settings(&shop, "statement_timeout").await;
    assert_eq!(limits, ["30s", "30s", "10s"]);
    assert_eq!(settings(&shop, "lock_timeout").await, ["1234ms"; 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_product_locked_by_another_process_is_a_503_with_retry_after() {
    let busy = Duration::from_millis(20);
    let Some(shop) = a_shop(db::Options {
        lock_timeout: busy,
        ..options()
    })
    .await
    else {
        return;
    };
    let kettle = shop.product("Kettle", 129_900, 5).await;
    let (ada, bob) = (shop.customer("ada").await, shop.customer("bob").await);
    ada.add_to_cart(&kettle, 2).await;
    bob.add_to_cart(&kettle, 1).await;

    let other = shop.raw_db();
    other.run("BEGIN; SELECT stock FROM products FOR UPDATE");
    for customer in [&ada, &bob, &ada] {
        let refused = customer.checkout_with_key("key-1").await;
        refused.assert_problem(503, "unavailable");
        assert_eq!(refused.header("retry-after"), Some("1"));
    }
    let product = format!("/products/{kettle}");
    let admin = shop.admin().await;
    let refused = admin.patch(&product, json!({ "name": "Pot" })).await;
    refused.assert_problem(503, "unavailable");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(shop.stock(&kettle).await, 5, "reads go on");
    assert_eq!(shop.anonymous().get("/readyz").await.status, 200);
    other.run("COMMIT");

    assert_eq!(ada.checkout_with_key("key-1").await.status, 201);
    assert_eq!(bob.checkout_with_key("key-1").await.status, 201);
    assert_eq!(shop.stock(&kettle).await, 2);
    other.assert_invariants();
}
