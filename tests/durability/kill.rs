//! `kill -9`: all acknowledged changes are kept, and none is partial.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use http::Method;
use serde_json::Value;
use shop::core::rng::Rng;

use super::*;
use crate::support::{TestResponse, storage_test};

const CUSTOMERS: u64 = 6;

/// What a customer knows when the connection breaks.
pub(super) struct Known {
    /// Orders whose 201 was received.
    pub(super) acknowledged: Vec<Bytes>,
    /// The key of the checkout without a response.
    unanswered: Option<String>,
}

/// Places orders until the connection breaks.
pub(super) async fn shop_on(
    customer: Remote,
    products: Arc<Vec<String>>,
    round: String,
    counter: Arc<AtomicU64>,
) -> Known {
    let mut known = Known {
        acknowledged: Vec::new(),
        unanswered: None,
    };
    for turn in 0.. {
        for product in products.iter().skip(turn % products.len()) {
            if put(&customer, product).await.is_err() {
                return known;
            }
        }
        let key = format!("{round}-{turn}");
        known.unanswered = Some(key.clone());
        let Ok(answer) = customer.check_out_once(&key).await else {
            return known;
        };
        assert_eq!(answer.status, 201, "{answer:?}");
        known.unanswered = None;
        known.acknowledged.push(answer.body);
        counter.fetch_add(1, Ordering::SeqCst);
    }
    known
}

/// Asserts that each order is shown to its customer as acknowledged.
pub(super) async fn assert_shown(customers: &[Remote], orders: &[(usize, Bytes)]) {
    for (number, body) in orders {
        let order: Value = serde_json::from_slice(body).unwrap();
        let path = format!("/orders/{}", order["id"].as_str().unwrap());
        let shown = customers[*number].get(&path).await;
        assert_eq!((shown.status, &shown.body), (200, body));
    }
}

/// The number of kills. `SHOP_TEST_KILLS` overrides it.
fn kills() -> u64 {
    std::env::var("SHOP_TEST_KILLS").map_or(10, |kills| kills.parse().unwrap())
}

storage_test! {
    async fn kill_nine_loses_no_acknowledged_order(site: Site) {
        let products: Vec<String> = ["Kettle", "Mug", "Plate"]
            .map(|name| site.product(name, 129_900, 1_000_000))
            .to_vec();
        let products = Arc::new(products);
        let rng = Rng::seeded(3);
        let mut process = site.start();
        let mut customers = Vec::new();
        for number in 0..CUSTOMERS {
            let name = format!("customer{number}");
            customers.push(Remote::new(&process).registered(&name).await);
        }
        let mut orders: Vec<(usize, Bytes)> = Vec::new();
        for kill in 0..kills() {
            let counter = Arc::new(AtomicU64::new(0));
            let shoppers = customers.iter().enumerate().map(|(number, customer)| {
                let round = format!("{number}-{kill}");
                let products = Arc::clone(&products);
                tokio::spawn(shop_on(
                    customer.clone(),
                    products,
                    round,
                    Arc::clone(&counter),
                ))
            });
            let shoppers: Vec<_> = shoppers.collect();
            // A random time, independent of what the server does.
            let (enough, more) = (rng.below(30), Duration::from_micros(rng.below(5000)));
            let deadline = Instant::now() + TIMEOUT;
            while counter.load(Ordering::SeqCst) < enough {
                assert!(Instant::now() < deadline, "the customers make no progress");
                tokio::task::yield_now().await;
            }
            tokio::time::sleep(more).await;
            process.kill();

            let (mut unanswered, mut new) = (Vec::new(), Vec::new());
            for (number, shopper) in shoppers.into_iter().enumerate() {
                let known = shopper.await.unwrap();
                unanswered.extend(known.unanswered.map(|key| (number, key)));
                let acknowledged = known
                    .acknowledged
                    .into_iter()
                    .map(|body| (number, body));
                new.extend(acknowledged);
            }

            process = site.start();
            for customer in &mut customers {
                *customer = customer.at(&process);
            }
            let raw = site.raw_db();
            raw.assert_invariants();
            let kept = raw.number("SELECT count(*) FROM orders");
            let min = i64::try_from(orders.len() + new.len()).unwrap();
            let max = min + i64::try_from(unanswered.len()).unwrap();
            assert!(
                (min..=max).contains(&kept),
                "{kept} of {min} to {max}"
            );
            // A retry with the same key returns one order, whether or not it was committed before.
            for (number, key) in unanswered {
                let answer = customers[number].check_out_once(&key).await.unwrap();
                assert_eq!(answer.status, 201, "{answer:?}");
                new.push((number, answer.body));
            }
            assert_shown(&customers, &new).await;
            orders.append(&mut new);
            let kept = raw.number("SELECT count(*) FROM orders");
            assert_eq!(kept, i64::try_from(orders.len()).unwrap());
            raw.assert_invariants();
        }
        assert_shown(&customers, &orders).await;
    }

    async fn a_response_is_replayed_after_kill_nine(site: Site) {
        let kettle = site.product("Kettle", 129_900, 5);
        let process = site.start();
        let ada = Remote::new(&process).registered("ada").await;
        put(&ada, &kettle).await.unwrap();
        let first = ada.check_out_once("key-1").await.unwrap();
        assert_eq!(
            (first.status, first.header("idempotent-replayed")),
            (201, None)
        );
        process.kill();

        let process = site.start();
        let ada = ada.at(&process);
        for _ in 0..2 {
            let again = ada.check_out_once("key-1").await.unwrap();
            assert_eq!((again.status, &again.body), (201, &first.body));
            assert_eq!(again.header("location"), first.header("location"));
            assert_eq!(again.header("idempotent-replayed"), Some("true"));
        }
        let raw = site.raw_db();
        assert_eq!(raw.number("SELECT count(*) FROM orders"), 1);
        raw.assert_invariants();
    }

    async fn refunds_and_stock_change_once_across_kill_nine(site: Site) {
        let kettle = site.product("Kettle", 129_900, 5);
        let process = site.start();
        let ada = Remote::new(&process).registered("ada").await;
        Remote::new(&process).registered("boss").await;
        site.run(&["admin", "user", "role", "boss@example.com", "ADMIN"]);
        let boss = Remote::new(&process).signed_in("boss").await;
        put(&ada, &kettle).await.unwrap();
        let order = ada.check_out_once("key-1").await.unwrap();
        site.run(&["admin", "pay", &order.text("/number")]);
        let refund = (format!("/admin/orders/{}/refund", order.text("/id")), r#"{"amount":100}"#);
        let stock = (
            format!("/admin/products/{kettle}/stock"),
            r#"{"delta":7,"reason":"found"}"#,
        );
        let mut first = Vec::new();
        for (path, body) in [&refund, &stock] {
            let answer = post_with_key(&boss, path, body, "key-2").await.unwrap();
            assert_eq!((answer.status, answer.header("idempotent-replayed")), (200, None));
            first.push(answer);
        }
        // The responses to these are lost.
        let in_progress = [refund.clone(), stock.clone()].map(|(path, body)| {
            let boss = boss.clone();
            tokio::spawn(async move { post_with_key(&boss, &path, body, "key-3").await.is_ok() })
        });
        process.kill();
        for call in in_progress {
            call.await.unwrap();
        }

        let process = site.start();
        let boss = boss.at(&process);
        for ((path, body), first) in [&refund, &stock].into_iter().zip(&first) {
            let again = post_with_key(&boss, path, body, "key-2").await.unwrap();
            assert_eq!((again.status, &again.body), (200, &first.body));
            assert_eq!(again.header("idempotent-replayed"), Some("true"));
            assert_eq!(post_with_key(&boss, path, body, "key-3").await.unwrap().status, 200);
        }
        let raw = site.raw_db();
        assert_eq!(raw.number("SELECT count(*) FROM refunds"), 2, "one for each key");
        let found = "SELECT count(*) FROM stock_movements WHERE note = 'found'";
        assert_eq!(raw.number(found), 2, "one for each key");
        raw.assert_invariants();
    }
}

/// Sends a POST with an `Idempotency-Key`.
async fn post_with_key(
    by: &Remote,
    path: &str,
    body: &'static str,
    key: &str,
) -> reqwest::Result<TestResponse> {
    let headers = [
        ("idempotency-key", key),
        ("content-type", "application/json"),
    ];
    by.call(Method::POST, path, &headers, body).await
}
