//! `kill -9`, as by a power cut of the process: what was acknowledged is there, and nothing by
//! half.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use http::Method;
use serde_json::Value;
use shop::core::rng::Rng;

use super::*;
use crate::support::{Answer, storage_test};

const CUSTOMERS: u64 = 6;

/// What one customer knows when the connection is gone.
struct Lost {
    /// Orders whose 201 was read.
    acknowledged: Vec<Bytes>,
    /// The checkout that was never answered.
    unanswered: Option<String>,
}

/// Shops until the connection is gone.
async fn shop_on(
    customer: Remote,
    products: Arc<Vec<String>>,
    round: String,
    counter: Arc<AtomicU64>,
) -> Lost {
    let mut lost = Lost {
        acknowledged: Vec::new(),
        unanswered: None,
    };
    for turn in 0.. {
        for product in products.iter().skip(turn % products.len()) {
            if put(&customer, product).await.is_err() {
                return lost;
            }
        }
        let key = format!("{round}-{turn}");
        lost.unanswered = Some(key.clone());
        let Ok(answer) = customer.check_out_once(&key).await else {
            return lost;
        };
        assert_eq!(answer.status, 201, "{answer:?}");
        lost.unanswered = None;
        lost.acknowledged.push(answer.body);
        counter.fetch_add(1, Ordering::SeqCst);
    }
    lost
}

/// Each of these customers is shown the order as it was told.
async fn are_there(customers: &[Remote], orders: &[(usize, Bytes)]) {
    for (number, body) in orders {
        let order: Value = serde_json::from_slice(body).unwrap();
        let path = format!("/orders/{}", order["id"].as_str().unwrap());
        let shown = customers[*number].get(&path).await;
        assert_eq!((shown.status, &shown.body), (200, body));
    }
}

/// How often the server is killed; more by `SHOP_TEST_KILLS`.
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
            // An instant that is not in step with anything the server does.
            let (enough, more) = (rng.below(30), Duration::from_micros(rng.below(5000)));
            let deadline = Instant::now() + PATIENCE;
            while counter.load(Ordering::SeqCst) < enough {
                assert!(Instant::now() < deadline, "the customers do not get on");
                tokio::task::yield_now().await;
            }
            tokio::time::sleep(more).await;
            process.kill();

            let (mut unanswered, mut fresh) = (Vec::new(), Vec::new());
            for (number, shopper) in shoppers.into_iter().enumerate() {
                let lost = shopper.await.unwrap();
                unanswered.extend(lost.unanswered.map(|key| (number, key)));
                let known = lost
                    .acknowledged
                    .into_iter()
                    .map(|body| (number, body));
                fresh.extend(known);
            }

            process = site.start();
            for customer in &mut customers {
                *customer = customer.at(&process);
            }
            let raw = site.raw_db();
            raw.assert_sound();
            let kept = raw.number("SELECT count(*) FROM orders");
            let least = i64::try_from(orders.len() + fresh.len()).unwrap();
            let most = least + i64::try_from(unanswered.len()).unwrap();
            assert!(
                (least..=most).contains(&kept),
                "{kept} of {least} to {most}"
            );
            // Who asks again under the same key gets the one order, whether it was kept or not.
            for (number, key) in unanswered {
                let answer = customers[number].check_out_once(&key).await.unwrap();
                assert_eq!(answer.status, 201, "{answer:?}");
                fresh.push((number, answer.body));
            }
            are_there(&customers, &fresh).await;
            orders.append(&mut fresh);
            let kept = raw.number("SELECT count(*) FROM orders");
            assert_eq!(kept, i64::try_from(orders.len()).unwrap());
            raw.assert_sound();
        }
        are_there(&customers, &orders).await;
    }

    async fn an_answer_is_given_again_after_kill_nine(site: Site) {
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
        raw.assert_sound();
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
            let answer = once(&boss, path, body, "key-2").await.unwrap();
            assert_eq!((answer.status, answer.header("idempotent-replayed")), (200, None));
            first.push(answer);
        }
        // Whether these are done nobody hears.
        let under_way = [refund.clone(), stock.clone()].map(|(path, body)| {
            let boss = boss.clone();
            tokio::spawn(async move { once(&boss, &path, body, "key-3").await.is_ok() })
        });
        process.kill();
        for call in under_way {
            call.await.unwrap();
        }

        let process = site.start();
        let boss = boss.at(&process);
        for ((path, body), first) in [&refund, &stock].into_iter().zip(&first) {
            let again = once(&boss, path, body, "key-2").await.unwrap();
            assert_eq!((again.status, &again.body), (200, &first.body));
            assert_eq!(again.header("idempotent-replayed"), Some("true"));
            assert_eq!(once(&boss, path, body, "key-3").await.unwrap().status, 200);
        }
        let raw = site.raw_db();
        assert_eq!(raw.number("SELECT count(*) FROM refunds"), 2, "one for each key");
        let found = "SELECT count(*) FROM stock_movements WHERE note = 'found'";
        assert_eq!(raw.number(found), 2, "one for each key");
        raw.assert_sound();
    }
}

/// A call under an `Idempotency-Key`.
async fn once(by: &Remote, path: &str, body: &'static str, key: &str) -> reqwest::Result<Answer> {
    let headers = [
        ("idempotency-key", key),
        ("content-type", "application/json"),
    ];
    by.call(Method::POST, path, &headers, body).await
}
