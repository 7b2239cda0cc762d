//! Failed refunds and duplicate payments: they are listed for an admin until they are retried, dropped, or
//! resolved at the provider.

use serde_json::{Value, json};

use super::shop::{
    deliver, paid, provider_order_id, refund, refunds, run_queue, statuses, with_razorpay,
};
use crate::support::{Client, Razorpay, TestShop, shopping::path, storage_test};

/// Returns the dead jobs.
fn dead(shop: &TestShop) -> Vec<Value> {
    jobs(shop, &["--state", "dead"])
}

fn jobs(shop: &TestShop, more: &[&str]) -> Vec<Value> {
    let listed = shop.run(&[&["admin", "jobs", "list", "--json"][..], more].concat());
    assert!(listed.status.success(), "{listed:?}");
    let mut jobs: Vec<Value> = serde_json::from_slice(&listed.stdout).unwrap();
    // Emails wait in the same queue.
    jobs.retain(|job| job["kind"] != "send-mail");
    jobs
}

/// Runs a command on the only dead job.
fn run_on_dead_job(shop: &TestShop, command: &[&str]) {
    let [job] = &dead(shop)[..] else {
        panic!("{:?}", dead(shop))
    };
    let id = job["id"].as_str().unwrap();
    let done = shop.run(&[&["admin", "jobs", command[0], id][..], &command[1..]].concat());
    assert!(done.status.success(), "{done:?}");
}

/// Returns how many failed refunds of an order are shown with their reason.
fn reasons_shown(shop: &TestShop, order: &Value) -> usize {
    let shown = shop.run(&["admin", "order", "show", order["id"].as_str().unwrap()]);
    let text = String::from_utf8(shown.stdout).unwrap();
    text.matches("FAILED: the provider reports that it failed")
        .count()
}

async fn unmatched(admin: &Client<'_>) -> Value {
    admin.get("/admin/payments?status=unmatched").await.json()["data"].clone()
}

/// Pays for an order that is already paid. Returns the payment.
async fn pay_again(
    shop: &TestShop,
    host: &Razorpay,
    customer: &Client<'_>,
    order: &Value,
) -> Value {
    let second = host.pay(&provider_order_id(customer, order).await);
    for event in ["payment.captured", "order.paid", "payment.captured"] {
        deliver(shop, host, event, &second).await;
    }
    second
}

/// Finishes the provider's newest refund, and delivers its webhook twice.
async fn finish_newest_refund(shop: &TestShop, host: &Razorpay, status: &str) {
    let newest = host.refunds().pop().unwrap();
    host.finish_refund(newest["id"].as_str().unwrap(), status);
    for _ in 0..2 {
        deliver(shop, host, &format!("refund.{status}"), &newest).await;
    }
}

storage_test! {
    async fn a_duplicate_payment_is_refunded(shop: TestShop) {
        let (host, shop) = with_razorpay(&shop).await;
        let (ada, admin) = (shop.customer("ada").await, shop.admin().await);
        let (order, _) = paid(&host, &shop, &ada).await;
        let shown = ada.get(&path(&order)).await.body;
        let second = pay_again(&shop, &host, &ada, &order).await;
        let [waiting] = &jobs(&shop, &[])[..] else { panic!("{:?}", jobs(&shop, &[])) };
        assert_eq!((&waiting["kind"], &waiting["subject"], &waiting["state"]), (&json!("send-refund"), &order["id"], &json!("waiting")));
        host.set_refund_status("pending");
        run_queue(&shop).await;
        let [back] = &host.refunds()[..] else { panic!("{:?}", host.refunds()) };
        assert_eq!((&back["payment_id"], &back["amount"]), (&second["id"], &json!(259_800)));

        finish_newest_refund(&shop, &host, "failed").await;
        let seen = unmatched(&admin).await;
        assert_eq!((&seen[0]["transactionId"], seen.as_array().map(Vec::len)), (&second["id"], Some(1)));
        assert_eq!(dead(&shop)[0]["lastError"], "the provider reports that it failed");
        run_on_dead_job(&shop, &["retry"]);
        assert_eq!((unmatched(&admin).await, dead(&shop)), (json!([]), vec![]));
        host.set_refund_status("processed");
        run_queue(&shop).await;
        assert_eq!(host.refunds().len(), 2);
        assert_eq!(host.refunds()[1]["payment_id"], second["id"]);
        assert_eq!((unmatched(&admin).await, jobs(&shop, &[])), (json!([]), vec![]));
        deliver(&shop, &host, "refund.failed", &host.refunds()[0]).await;
        assert_eq!((unmatched(&admin).await, dead(&shop)), (json!([]), vec![]));
        assert_eq!(ada.get(&path(&order)).await.body, shown, "the order's own payment is untouched");
        let verified = shop.run(&["verify"]);
        assert!(verified.status.success(), "{verified:?}");
    }

    async fn a_failed_duplicate_refund_leaves_both_lists_together(shop: TestShop) {
        let (host, shop) = with_razorpay(&shop).await;
        let (ada, admin) = (shop.customer("ada").await, shop.admin().await);
        let (order, _) = paid(&host, &shop, &ada).await;
        host.set_refund_status("pending");
        for how in ["resolve", "drop", "dashboard", "later"] {
            let second = pay_again(&shop, &host, &ada, &order).await;
            run_queue(&shop).await;
            finish_newest_refund(&shop, &host, "failed").await;
            let seen = unmatched(&admin).await;
            assert_eq!((seen.as_array().map(Vec::len), dead(&shop).len()), (Some(1), 1), "{how}");
            match how {
                "resolve" => {
                    let id = seen[0]["id"].as_str().unwrap();
                    let note = json!({ "note": "paid out by bank transfer" });
                    let done = admin.post(&format!("/admin/payments/{id}/resolve"), note).await;
                    assert_eq!(done.status, 200, "{done:?}");
                }
                "drop" => run_on_dead_job(&shop, &["drop", "--note", "paid out by bank transfer"]),
                "dashboard" => {
                    let id = second["id"].as_str().unwrap();
                    let by_hand = host.refund_in_dashboard(id, 259_800);
                    deliver(&shop, &host, "refund.processed", &by_hand).await;
                }
                _ => finish_newest_refund(&shop, &host, "processed").await,
            }
            assert_eq!((unmatched(&admin).await, dead(&shop)), (json!([]), vec![]), "{how}");
        }
        assert_eq!(statuses(&ada, &order).await, ("PAID".to_owned(), "CAPTURED".to_owned()));
        let verified = shop.run(&["verify"]);
        assert!(verified.status.success(), "{verified:?}");
    }

    async fn a_resolved_duplicate_payment_keeps_its_reason_when_it_is_refunded(shop: TestShop) {
        let (host, shop) = with_razorpay(&shop).await;
        let (ada, admin) = (shop.customer("ada").await, shop.admin().await);
        let (order, _) = paid(&host, &shop, &ada).await;
        host.set_refund_status("pending");
        pay_again(&shop, &host, &ada, &order).await;
        run_queue(&shop).await;
        finish_newest_refund(&shop, &host, "failed").await;
        let listed = unmatched(&admin).await;
        let place = format!("/admin/payments/{}/resolve", listed[0]["id"].as_str().unwrap());
        let resolved = admin.post(&place, json!({ "note": "paid out by bank transfer" })).await;
        assert_eq!(resolved.text("/reason"), "the order is paid already");
        finish_newest_refund(&shop, &host, "processed").await;
        let again = admin.post(&place, json!({ "note": "once more" })).await;
        assert_eq!((again.status, again.json()), (200, resolved.json()));
    }

    async fn a_refund_in_the_dashboard_replaces_the_queued_one(shop: TestShop) {
        let (host, shop) = with_razorpay(&shop).await;
        let (ada, admin) = (shop.customer("ada").await, shop.admin().await);
        let (order, _) = paid(&host, &shop, &ada).await;
        let second = pay_again(&shop, &host, &ada, &order).await;
        let by_hand = host.refund_in_dashboard(second["id"].as_str().unwrap(), 259_800);
        deliver(&shop, &host, "refund.processed", &by_hand).await;
        let sent = host.requests().len();
        run_queue(&shop).await;
        assert_eq!(host.requests().len(), sent, "nothing is left to send");
        assert_eq!((unmatched(&admin).await, jobs(&shop, &[])), (json!([]), vec![]));
    }

    async fn a_provider_with_a_higher_minimum_blocks_no_order(shop: TestShop) {
        let pin = shop.product("Pin", 50, 9).await;
        let ada = shop.customer("ada").await;
        let (waiting, bought) = (ada.place_order(&pin, 1).await, ada.place_order(&pin, 1).await);
        let token = ada.token.clone().unwrap();
        shop.capture(&bought).await;
        let host = Razorpay::start().await;
        let shop = shop.restarted_with(&host.settings()).await;
        let (ada, admin) = (shop.bearer(&token), shop.admin().await);
        for order in [&waiting, &bought] {
            assert_eq!(ada.get(&path(order)).await.status, 200);
        }
        let pay = ada.post(&format!("{}/pay", path(&waiting)), Value::Null).await;
        pay.assert_problem(409, "amount-too-small");
        let cancelled = ada.post(&format!("{}/cancel", path(&waiting)), Value::Null).await;
        assert_eq!(cancelled.status, 200, "{cancelled:?}");
        let back = refund(&admin, &bought, Value::Null).await;
        assert_eq!(back.text("/payment/refunds/0/status"), "PENDING", "until the mock is set again");
    }

    async fn a_failed_refund_leaves_the_list(shop: TestShop) {
        let (host, shop) = with_razorpay(&shop).await;
        let (ada, admin) = (shop.customer("ada").await, shop.admin().await);
        let (order, payment) = paid(&host, &shop, &ada).await;
        host.set_refund_status("pending");
        for how in ["retry", "dashboard", "later", "drop"] {
            refund(&admin, &order, json!({ "amount": 10_000 })).await;
            run_queue(&shop).await;
            finish_newest_refund(&shop, &host, "failed").await;
            assert_eq!(dead(&shop)[0]["subject"], order["id"], "{how}");
            let before = reasons_shown(&shop, &order);
            assert!(before > 0, "{how}");
            match how {
                "retry" => {
                    run_on_dead_job(&shop, &["retry"]);
                    run_queue(&shop).await;
                    finish_newest_refund(&shop, &host, "processed").await;
                }
                "dashboard" => {
                    let by_hand = host.refund_in_dashboard(payment["id"].as_str().unwrap(), 10_000);
                    let id = by_hand["id"].as_str().unwrap();
                    host.finish_refund(id, "processed");
                    deliver(&shop, &host, "refund.processed", &by_hand).await;
                }
                "later" => finish_newest_refund(&shop, &host, "processed").await,
                _ => run_on_dead_job(&shop, &["drop"]),
            }
            assert_eq!((dead(&shop), unmatched(&admin).await), (vec![], json!([])), "{how}");
            // A refund that the provider still processed has no reason any more; others keep it.
            let processed = usize::from(how == "later");
            assert_eq!(reasons_shown(&shop, &order), before - processed, "{how}");
        }
        assert_eq!(refunds(&ada, &order).await.1, 30_000);
        // A full refund resolves all failed ones.
        refund(&admin, &order, json!({ "amount": 20_000 })).await;
        run_queue(&shop).await;
        finish_newest_refund(&shop, &host, "failed").await;
        refund(&admin, &order, Value::Null).await;
        run_queue(&shop).await;
        finish_newest_refund(&shop, &host, "processed").await;
        assert_eq!(statuses(&ada, &order).await, ("REFUNDED".to_owned(), "REFUNDED".to_owned()));
        assert_eq!(dead(&shop), Vec::<Value>::new());
        let unknown = "01900000-0000-7000-8000-000000000000";
        for command in ["retry", "drop"] {
            assert_eq!(shop.run(&["admin", "jobs", command, unknown]).status.code(), Some(1));
            assert_eq!(shop.run(&["admin", "jobs", command, "x"]).status.code(), Some(2));
        }
        shop.raw_db().assert_invariants();
    }
}
