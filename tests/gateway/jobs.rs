//! Jobs and their rows: `shop verify` reports one without the other, and names a remedy that works.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use shop::infra::ports::Refusal;

use super::shop::{deliver, paid, refund, run_queue, with_razorpay};
use crate::support::{Behavior, Form, Razorpay, TestShop, images::png, storage_test};

/// A job of each kind and state without its row, or of an image in use: its kind, payload, state, the table with its
/// subject, the check that finds it, and part of the finding.
const STRAY_JOBS: [[&str; 6]; 9] = [
    [
        "send-refund",
        "razorpay",
        "dead",
        "users",
        "refund-job",
        "refund is missing",
    ],
    [
        "send-refund",
        "razorpay",
        "waiting",
        "users",
        "refund-job",
        "refund is missing",
    ],
    [
        "make-payment-order",
        "razorpay",
        "dead",
        "users",
        "gateway-order-job",
        "payment is missing",
    ],
    [
        "make-payment-order",
        "razorpay",
        "waiting",
        "users",
        "gateway-order-job",
        "payment is missing",
    ],
    [
        "send-mail",
        "",
        "dead",
        "users",
        "mail-job",
        "unsent email is missing",
    ],
    [
        "send-mail",
        "",
        "waiting",
        "users",
        "mail-job",
        "unsent email is missing",
    ],
    [
        "send-mail",
        "",
        "dead",
        "outbox WHERE sent_at IS NOT NULL",
        "mail-job",
        "unsent email is missing",
    ],
    [
        "send-mail",
        "",
        "waiting",
        "outbox WHERE sent_at IS NOT NULL",
        "mail-job",
        "unsent email is missing",
    ],
    [
        "delete-image",
        "",
        "waiting",
        "product_images",
        "image-job",
        "queued for deletion",
    ],
];

/// A change that separates a row from its job, the check that finds it, and part of the finding.
const LOST_JOBS: [[&str; 3]; 5] = [
    [
        "DELETE FROM jobs WHERE kind = 'send-refund' AND state = 'waiting'",
        "refund-job",
        "it is not sent, but has no waiting job",
    ],
    [
        "UPDATE jobs SET state = 'dead' WHERE kind = 'send-refund' AND state = 'waiting'",
        "refund-job",
        "it is not sent, but has no waiting job",
    ],
    [
        "UPDATE jobs SET state = 'waiting' WHERE kind = 'send-refund' AND state = 'dead'",
        "refund-job",
        "failed and not resolved, but has no dead job",
    ],
    [
        "DELETE FROM jobs WHERE kind = 'send-refund' AND state = 'dead'",
        "refund-job",
        "failed and not resolved, but has no dead job",
    ],
    [
        "DELETE FROM jobs WHERE kind = 'send-mail'",
        "mail-job",
        "it is not sent, but has no job",
    ],
];

fn findings(shop: &TestShop) -> Vec<Value> {
    let verified = shop.run(&["verify", "--json"]);
    serde_json::from_slice(&verified.stdout).unwrap_or_else(|_| panic!("{verified:?}"))
}

fn listed(shop: &TestShop) -> Vec<Value> {
    let listed = shop.run(&["admin", "jobs", "list", "--json"]);
    serde_json::from_slice(&listed.stdout).unwrap_or_else(|_| panic!("{listed:?}"))
}

/// Returns kind, subject and state of the jobs that send a request to the provider, in this order.
fn requests(shop: &TestShop) -> Vec<(String, Value, Value)> {
    let mut jobs: Vec<_> = listed(shop)
        .iter()
        .map(|job| {
            let kind = job["kind"].as_str().unwrap().to_owned();
            (kind, job["subject"].clone(), job["state"].clone())
        })
        .filter(|(kind, ..)| kind != "send-mail")
        .collect();
    jobs.sort_by_key(|(kind, ..)| kind.clone());
    jobs
}

#[track_caller]
fn is_clean(shop: &TestShop) {
    assert_eq!(findings(shop), Vec::<Value>::new());
}

/// Creates a refund that fails at the provider.
async fn fail_refund(shop: &TestShop, host: &Razorpay, order: &Value) {
    host.set_refund_status("pending");
    refund(&shop.admin().await, order, json!({ "amount": 20_000 })).await;
    run_queue(shop).await;
    let there = host.refunds().pop().unwrap();
    host.finish_refund(there["id"].as_str().unwrap(), "failed");
    deliver(shop, host, "refund.failed", &there).await;
}

/// Runs the command that a finding names, or else the jobs that are due.
async fn follow(shop: &TestShop, finding: &Value) {
    let says = finding["says"].as_str().unwrap();
    let Some(command) = says.split('`').nth(1) else {
        assert!(says.contains("the running server"), "{says}");
        run_queue(shop).await;
        shop.send_due_emails().await;
        shop.delete_due_images().await;
        return;
    };
    let words: Vec<_> = command.split(' ').skip(1).collect();
    let done = shop.run(&words);
    assert!(done.status.success(), "{command}: {done:?}");
}

async fn is_found_and_remedied(shop: &TestShop, sql: &str, check: &str, message: &str) {
    shop.raw_db().run(sql);
    listed(shop);
    let found = findings(shop);
    assert!(!found.is_empty(), "{sql}");
    for finding in found {
        assert_eq!(finding["check"], check, "{sql}: {finding}");
        assert!(
            finding["says"].as_str().unwrap().contains(message),
            "{finding}"
        );
        follow(shop, &finding).await;
    }
    is_clean(shop);
}

async fn upload_product(shop: &TestShop) -> Value {
    let form = Form::default()
        .text("name", "Pan")
        .text("price", "50000")
        .text("stockQuantity", "9")
        .image(&png());
    let admin = shop.admin().await;
    let made = admin.upload(Method::POST, "/products", &[], form).await;
    assert_eq!(made.status, 201, "{made:?}");
    shop.app.db.flush_events().await.unwrap();
    made.json()
}

storage_test! {
    async fn queued_retried_and_dead_jobs_are_not_findings(shop: TestShop) {
        let (host, shop) = with_razorpay(&shop).await;
        let (ada, admin) = (shop.customer("ada").await, shop.admin().await);
        let (order, _) = paid(&host, &shop, &ada).await;
        fail_refund(&shop, &host, &order).await;
        refund(&admin, &order, json!({ "amount": 10_000 })).await;
        is_clean(&shop);
        run_queue(&shop).await;
        is_clean(&shop);
        let pan = upload_product(&shop).await;
        ada.place_order(pan["id"].as_str().unwrap(), 1).await;
        refund(&admin, &order, json!({ "amount": 30_000 })).await;
        admin.delete(&format!("/products/{}", pan["id"].as_str().unwrap())).await;
        is_clean(&shop);
        host.set_behavior(Behavior::Down);
        run_queue(&shop).await;
        for is_permanent in [false, true] {
            let why = "no answer".to_owned();
            shop.mailer.refuse(Some(Refusal { is_permanent, why }));
            shop.send_due_emails().await;
            is_clean(&shop);
            shop.advance_clock(Duration::from_mins(20));
        }
        let seen: Vec<_> = listed(&shop)
            .iter()
            .map(|job| (job["kind"].as_str().unwrap().to_owned(), job["state"] == "dead"))
            .collect();
        for expected in [
            ("send-refund", true), ("send-refund", false), ("make-payment-order", false),
            ("send-mail", true), ("delete-image", false),
        ] {
            assert!(seen.iter().any(|(kind, dead)| (kind.as_str(), *dead) == expected), "{expected:?}: {seen:?}");
        }
    }

    async fn a_row_without_its_job_is_reported_with_a_remedy(shop: TestShop) {
        let (host, shop) = with_razorpay(&shop).await;
        let (ada, admin) = (shop.customer("ada").await, shop.admin().await);
        let (order, _) = paid(&host, &shop, &ada).await;
        for [sql, check, message] in LOST_JOBS {
            fail_refund(&shop, &host, &order).await;
            refund(&admin, &order, json!({ "amount": 10_000 })).await;
            is_found_and_remedied(&shop, sql, check, message).await;
        }
    }

    async fn a_job_without_its_row_is_reported_with_a_remedy(shop: TestShop) {
        let (host, shop) = with_razorpay(&shop).await;
        let ada = shop.customer("ada").await;
        paid(&host, &shop, &ada).await;
        upload_product(&shop).await;
        assert!(!shop.sent_emails().await.is_empty());
        for [kind, payload, state, table, check, message] in STRAY_JOBS {
            let sql = format!(
                "INSERT INTO jobs (subject_id, kind, payload, state, due_at, attempts, retrying_since)
                 SELECT id, '{kind}', '{payload}', '{state}', 0, 1, 0 FROM {table}"
            );
            is_found_and_remedied(&shop, &sql, check, message).await;
        }
        assert_eq!(listed(&shop), Vec::<Value>::new());
    }

    async fn jobs_of_a_provider_that_is_not_configured_fail_after_a_day(shop: TestShop) {
        let (host, shop) = with_razorpay(&shop).await;
        let (ada, admin) = (shop.customer("ada").await, shop.admin().await);
        let (order, _) = paid(&host, &shop, &ada).await;
        refund(&admin, &order, json!({ "amount": 10_000 })).await;
        let pan = shop.product("Pan", 50_000, 9).await;
        let waiting = ada.place_order(&pan, 1).await;
        shop.raw_db().run(
            "INSERT INTO jobs (subject_id, kind, payload, state, due_at, attempts, retrying_since)
             SELECT id, 'send-refund', 'razorpay', 'waiting', 0, 1, 0 FROM users",
        );
        let shop = shop.restarted_with(&[("rate_limit", "off")]).await;
        let expected = |state: &str| {
            let order_to_create = ("make-payment-order".to_owned(), waiting["id"].clone(), json!(state));
            [order_to_create, ("send-refund".to_owned(), order["id"].clone(), json!(state))]
        };
        shop.advance_clock(Duration::from_hours(23));
        shop::worker::clean_up(&shop.app).await;
        assert_eq!(requests(&shop), expected("waiting"), "those without a refund are completed");
        shop.advance_clock(Duration::from_hours(2));
        shop::worker::clean_up(&shop.app).await;
        assert_eq!(requests(&shop), expected("dead"));
        is_clean(&shop);

        let shop = shop.restarted_with(&host.settings()).await;
        let before = host.orders().len();
        for job in listed(&shop).iter().filter(|job| job["state"] == "dead") {
            let error = job["lastError"].as_str().unwrap();
            assert!(error.contains("`razorpay` is not configured"), "{error}");
            let retried = shop.run(&["admin", "jobs", "retry", job["id"].as_str().unwrap()]);
            assert!(retried.status.success(), "{retried:?}");
        }
        run_queue(&shop).await;
        assert_eq!((host.orders().len(), host.refunds().len()), (before + 1, 1));
        assert_eq!(host.orders()[before]["receipt"], waiting["id"]);
        assert_eq!(requests(&shop), []);
        is_clean(&shop);
    }
}
