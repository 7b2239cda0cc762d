//! Payments: webhooks are accepted only if signed, applied once and always stored.

mod emails;
mod expiry;
mod reconcile;
mod refunds;
mod resolve;
mod upgrade;

use http::Method;
use serde_json::{Value, json};
use shop::infra::{config::Secret, ports::gateway::razorpay::signature};

use crate::support::{
    Client, Engine, TestShop,
    provider::{WEBHOOK, event, with},
    shopping::path,
    storage_test,
};

/// What is wrong with a webhook, its headers and its body.
type Attempt<'a> = (&'a str, Vec<(&'a str, &'a str)>, &'a str);

/// Places an order.
async fn place(shop: &TestShop, customer: &Client<'_>) -> Value {
    let kettle = shop.product("Kettle", 129_900, 5).await;
    customer.place_order(&kettle, 2).await
}

/// Returns the status of an order, the status of its payment, and the transaction.
async fn statuses(customer: &Client<'_>, order: &Value) -> (String, String, Value) {
    let now = customer.get(&path(order)).await;
    let transaction = now.json()["payment"]["transactionId"].clone();
    (
        now.text("/status"),
        now.text("/payment/status"),
        transaction,
    )
}

fn pending() -> (String, String, Value) {
    ("PENDING".to_owned(), "CREATED".to_owned(), Value::Null)
}

fn paid(transaction: &str) -> (String, String, Value) {
    ("PAID".to_owned(), "CAPTURED".to_owned(), json!(transaction))
}

/// Returns amount, transaction and reason of each unmatched payment, newest first.
async fn unmatched(shop: &TestShop) -> Vec<(Value, Value, String)> {
    let listed = shop
        .admin()
        .await
        .get("/admin/payments?status=unmatched")
        .await;
    assert_eq!(listed.status, 200);
    let entries = listed.json()["data"].as_array().unwrap().clone();
    assert_eq!(
        listed.number("/total"),
        i64::try_from(entries.len()).unwrap()
    );
    let seen = entries.iter().map(|entry| {
        assert_eq!(entry["status"], "unmatched");
        let reason = entry["reason"].as_str().unwrap().to_owned();
        (
            entry["amount"].clone(),
            entry["transactionId"].clone(),
            reason,
        )
    });
    seen.collect()
}

/// Delivers an event under that id.
async fn deliver(shop: &TestShop, event: &Value, id: &str) {
    let answer = shop.deliver(event.to_string().as_bytes(), id).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.body.is_empty());
}

#[test]
fn signatures_match_those_of_the_provider() {
    let secret = Secret::from("whsec_test");
    let body = br#"{"event":"payment.captured"}"#;
    let vector = "4f463a57dd128675850163391f0311888616d57bccca75c774c9cdb28134f851";
    assert_eq!(signature::sign(&secret, body), vector);
    let both = [Secret::from("another"), secret];
    assert!(signature::is_valid(&both, body, vector.as_bytes()));
    assert!(signature::is_valid(
        &both,
        body,
        vector.to_uppercase().as_bytes()
    ));
    assert!(!signature::is_valid(&both[..1], body, vector.as_bytes()));
    assert!(!signature::is_valid(&both, b"{}", vector.as_bytes()));
    assert!(!signature::is_valid(&[], body, vector.as_bytes()));
    for cut in [0, 1, 2, 62, 63] {
        assert!(
            !signature::is_valid(&both, body, &vector.as_bytes()[..cut]),
            "{cut}"
        );
    }
    assert!(!signature::is_valid(
        &both,
        body,
        format!("{vector}00").as_bytes()
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_configured_secret_is_accepted_and_no_other() {
    let secrets = (
        "razorpay_webhook_secret",
        "whsec_of_today_new,whsec_of_yesterday",
    );
    let settings = [("rate_limit", "off"), secrets];
    let shop = TestShop::with(
        Engine::Sqlite,
        &settings,
        shop::infra::db::Options::default(),
    )
    .await
    .unwrap();
    let body = br#"{"event":"subscription.charged","payload":{}}"#;
    for (secret, status) in [
        ("whsec_of_today_new", 200),
        ("whsec_of_yesterday", 200),
        ("whsec_of_today_new,whsec_of_yesterday", 401),
    ] {
        let signed = signature::sign(&Secret::from(secret), body);
        let headers = [("x-razorpay-signature", signed.as_str())];
        let anonymous = shop.anonymous();
        let answer = anonymous
            .raw(Method::POST, WEBHOOK, &headers, body.as_slice())
            .await;
        assert_eq!(answer.status, status, "{secret}");
    }
}

storage_test! {
    async fn a_capture_pays_the_order(shop: TestShop) {
        let ada = shop.customer("ada").await;
        let order = place(&shop, &ada).await;
        deliver(&shop, &event("payment.captured", &order, "pay_1"), "ev_1").await;
        assert_eq!(statuses(&ada, &order).await, paid("pay_1"));

        let mut expected = order.clone();
        expected["status"] = json!("PAID");
        expected["payment"]["status"] = json!("CAPTURED");
        expected["payment"]["transactionId"] = json!("pay_1");
        assert_eq!(ada.get(&path(&order)).await.json(), expected);
        let listed = shop.admin().await.get("/admin/payments?status=captured").await;
        assert_eq!(listed.number("/total"), 1);
        assert_eq!(listed.text("/data/0/orderId"), order["id"]);
        assert_eq!(listed.text("/data/0/transactionId"), "pay_1");
        assert_eq!(listed.number("/data/0/amount"), 259_800);
    }

    async fn a_forged_webhook_changes_nothing(shop: TestShop) {
        let ada = shop.customer("ada").await;
        let order = place(&shop, &ada).await;
        let body = event("payment.captured", &order, "pay_1").to_string();
        let right = shop.signature(body.as_bytes());
        let other = signature::sign(&Secret::from("another secret"), body.as_bytes());
        let none = signature::sign(&Secret::from(""), body.as_bytes());
        let mut flipped = right.clone().into_bytes();
        flipped[10] = if flipped[10] == b'0' { b'1' } else { b'0' };
        let flipped = String::from_utf8(flipped).unwrap();
        let forged = body.replacen("259800", "259801", 1);
        let reformatted = body.replacen("\":", "\": ", 1);
        let in_quotes = format!("\"{right}\"");
        let in_list = format!("{right},{right}");
        let base64 = "T0Y6V90ShnWFAWM5HwMRiIYW1XvMynXHdMnNsoE0+FE=";

        let before = shop.raw_db().dump();
        let name = "x-razorpay-signature";
        let attempts: Vec<Attempt<'_>> = vec![
            ("another secret", vec![(name, &other)], &body),
            ("an empty secret", vec![(name, &none)], &body),
            ("one digit", vec![(name, &flipped)], &body),
            ("one byte of the body", vec![(name, &right)], &forged),
            ("the same JSON with other whitespace", vec![(name, &right)], &reformatted),
            ("no header", vec![], &body),
            ("an empty header", vec![(name, "")], &body),
            ("the header twice", vec![(name, &right), (name, &right)], &body),
            ("first wrong, then right", vec![(name, &other), (name, &right)], &body),
            ("quotes", vec![(name, &in_quotes)], &body),
            ("a list", vec![(name, &in_list)], &body),
            ("half of it", vec![(name, &right[..32])], &body),
            ("no hex", vec![(name, base64)], &body),
            ("another header", vec![("x-signature", &right)], &body),
            ("an empty body", vec![(name, &right)], ""),
        ];
        for (how, headers, body) in attempts {
            let answer =
                shop.anonymous().raw(Method::POST, WEBHOOK, &headers, body.to_owned()).await;
            answer.assert_problem(401, "invalid-signature");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{how}");
        }
        // An admin's token does not help either.
        let admin = shop.admin().await;
        let signed_in = shop.raw_db().dump();
        let answer = admin.raw(Method::POST, WEBHOOK, &[], body.clone()).await;
        answer.assert_problem(401, "invalid-signature");
        assert_eq!(shop.raw_db().dump(), signed_in);
        assert_eq!(shop.raw_db().dump()["payments"], before["payments"]);
        assert_eq!(shop.raw_db().dump()["payment_events"], before["payment_events"]);
        assert_eq!(statuses(&ada, &order).await, pending());

        let headers = [(name, right.as_str())];
        let answer = shop.anonymous().raw(Method::POST, WEBHOOK, &headers, body).await;
        assert_eq!(answer.status, 200);
        assert_eq!(statuses(&ada, &order).await, paid("pay_1"));
    }

    async fn an_event_delivered_a_hundred_times_has_one_effect(shop: TestShop) {
        let ada = shop.customer("ada").await;
        let order = place(&shop, &ada).await;
        let body = event("payment.captured", &order, "pay_1").to_string();
        let deliveries = (0..100).map(|_| shop.deliver(body.as_bytes(), "ev_1"));
        for answer in futures_util::future::join_all(deliveries).await {
            assert_eq!(answer.status, 200);
        }
        let after = shop.raw_db().dump();
        assert_eq!(after["payment_events"].len(), 1);
        assert_eq!(statuses(&ada, &order).await, paid("pay_1"));

        let token = ada.token.clone().unwrap();
        let shop = shop.restarted().await;
        for _ in 0..3 {
            assert_eq!(shop.deliver(body.as_bytes(), "ev_1").await.status, 200);
        }
        assert_eq!(shop.raw_db().dump(), after, "no row was written by a repeat");
        assert_eq!(statuses(&shop.bearer(&token), &order).await, paid("pay_1"));
    }

    async fn a_payment_under_many_event_ids_has_one_effect(shop: TestShop) {
        let ada = shop.customer("ada").await;
        let order = place(&shop, &ada).await;
        let names: Vec<String> = (0..100).map(|number| format!("ev_{number}")).collect();
        let captured = event("payment.captured", &order, "pay_1").to_string();
        let order_paid = event("order.paid", &order, "pay_1").to_string();
        let deliveries = names.iter().enumerate().map(|(number, name)| {
            let body = if number % 2 == 0 { &captured } else { &order_paid };
            shop.deliver(body.as_bytes(), name)
        });
        for answer in futures_util::future::join_all(deliveries).await {
            assert_eq!(answer.status, 200);
        }
        assert_eq!(statuses(&ada, &order).await, paid("pay_1"));
        assert_eq!(unmatched(&shop).await, []);
        let raw = shop.raw_db();
        let effects = "SELECT count(*) FROM payment_events WHERE outcome = 'captured'";
        assert_eq!(raw.number(effects), 1);
        assert_eq!(raw.number("SELECT count(*) FROM payment_events"), 100, "each is stored");
    }

    async fn order_paid_after_payment_captured_changes_nothing(shop: TestShop) {
        let ada = shop.customer("ada").await;
        let order = place(&shop, &ada).await;
        deliver(&shop, &event("payment.captured", &order, "pay_1"), "ev_1").await;
        let shown = ada.get(&path(&order)).await.body;
        shop.advance_clock(std::time::Duration::from_mins(1));
        deliver(&shop, &event("order.paid", &order, "pay_1"), "ev_2").await;
        assert_eq!(ada.get(&path(&order)).await.body, shown);
        assert_eq!(unmatched(&shop).await, []);
    }

    async fn order_paid_alone_pays_the_order(shop: TestShop) {
        let ada = shop.customer("ada").await;
        let order = place(&shop, &ada).await;
        deliver(&shop, &event("order.paid", &order, "pay_1"), "ev_1").await;
        assert_eq!(statuses(&ada, &order).await, paid("pay_1"));
    }

    async fn one_event_id_with_two_bodies_is_two_events(shop: TestShop) {
        let ada = shop.customer("ada").await;
        let order = place(&shop, &ada).await;
        deliver(&shop, &event("payment.failed", &order, "pay_1"), "ev_1").await;
        deliver(&shop, &event("payment.captured", &order, "pay_2"), "ev_1").await;
        assert_eq!(statuses(&ada, &order).await, paid("pay_2"));
    }

    async fn a_payment_may_succeed_after_a_failed_attempt(shop: TestShop) {
        let ada = shop.customer("ada").await;
        let order = place(&shop, &ada).await;
        deliver(&shop, &event("payment.failed", &order, "pay_1"), "ev_1").await;
        let failed = ("PENDING".to_owned(), "FAILED".to_owned(), Value::Null);
        assert_eq!(statuses(&ada, &order).await, failed);
        let listed = shop.admin().await.get("/admin/payments?status=failed").await;
        assert_eq!(listed.number("/total"), 1);
        deliver(&shop, &event("payment.captured", &order, "pay_2"), "ev_2").await;
        assert_eq!(statuses(&ada, &order).await, paid("pay_2"));
    }

    async fn a_late_failure_changes_nothing(shop: TestShop) {
        let ada = shop.customer("ada").await;
        let order = place(&shop, &ada).await;
        deliver(&shop, &event("payment.captured", &order, "pay_2"), "ev_2").await;
        deliver(&shop, &event("payment.failed", &order, "pay_1"), "ev_1").await;
        deliver(&shop, &event("payment.failed", &order, "pay_2"), "ev_3").await;
        assert_eq!(statuses(&ada, &order).await, paid("pay_2"));
        assert_eq!(unmatched(&shop).await, []);
    }

    async fn a_mismatched_payment_pays_nothing(shop: TestShop) {
        let ada = shop.customer("ada").await;
        let order = place(&shop, &ada).await;
        let right = event("payment.captured", &order, "pay_1");
        let wrong = [
            ("amount", json!(259_799), "another amount"),
            ("amount", json!(259_801), "another amount"),
            ("amount", json!(0), "another amount"),
            ("amount", json!(-259_800), "another amount"),
            ("currency", json!("USD"), "another currency"),
            ("currency", json!("inr"), "another currency"),
            ("order_id", json!("order_00000000000000"), "no such order"),
            ("order_id", Value::Null, "no such order"),
            ("order_id", json!(""), "no such order"),
        ];
        let mut seen = Vec::new();
        for (number, (field, value, reason)) in wrong.iter().enumerate() {
            shop.advance_clock(std::time::Duration::from_secs(1));
            let id = format!("pay_{number}");
            let event = with(with(right.clone(), "id", json!(id)), field, value.clone());
            deliver(&shop, &event, &format!("ev_{number}")).await;
            // A repeat is not listed again.
            deliver(&shop, &event, &format!("ev_again_{number}")).await;
            assert_eq!(statuses(&ada, &order).await, pending(), "{field} {value}");
            let amount = event["payload"]["payment"]["entity"]["amount"].clone();
            seen.insert(0, (amount, json!(id), (*reason).to_owned()));
            assert_eq!(unmatched(&shop).await, seen);
        }
        let listed = shop.admin().await.get("/admin/payments?status=unmatched").await.json();
        let orders = listed["data"].as_array().unwrap().iter().map(|entry| &entry["orderId"]);
        let known = orders.filter(|id| **id == order["id"]).count();
        assert_eq!(known, 6, "the order is named where it is known");

        deliver(&shop, &right, "ev_right").await;
        assert_eq!(statuses(&ada, &order).await, paid("pay_1"));
        seen.retain(|(_, id, _)| id != "pay_1");
        assert_eq!(unmatched(&shop).await, seen, "the others are still listed");
        // A resolved mismatch stays resolved when it is repeated.
        let wrong = with(right.clone(), "amount", json!(259_801));
        deliver(&shop, &wrong, "ev_repeated").await;
        assert_eq!(unmatched(&shop).await, seen);
        let admin = shop.admin().await;
        let resolved = admin.get("/admin/payments?status=resolved").await;
        assert_eq!(resolved.text("/data/0/resolution/note"), "the payment matched its order later");
        assert_eq!(resolved.json()["data"][0]["resolution"]["by"], Value::Null);
    }

    async fn a_duplicate_payment_is_refunded(shop: TestShop) {
        let ada = shop.customer("ada").await;
        let order = place(&shop, &ada).await;
        deliver(&shop, &event("payment.captured", &order, "pay_1"), "ev_1").await;
        let shown = ada.get(&path(&order)).await.body;
        shop.advance_clock(std::time::Duration::from_secs(1));
        for (number, name) in ["payment.captured", "order.paid", "payment.captured"].iter().enumerate() {
            deliver(&shop, &event(name, &order, "pay_2"), &format!("ev_twice_{number}")).await;
        }
        assert_eq!(ada.get(&path(&order)).await.body, shown, "its own payment is untouched");
        assert_eq!(unmatched(&shop).await, []);
        let raw = shop.raw_db();
        let back = raw.rows("SELECT transaction_id, amount, status, cause FROM refunds");
        let cell = |text: &str| Some(text.to_owned());
        assert_eq!(back, [["pay_2", "259800", "PROCESSED", "late"].map(cell).to_vec()]);
        // A partial payment, or one in another currency, needs an admin.
        let part = with(event("payment.captured", &order, "pay_3"), "amount", json!(100_000));
        deliver(&shop, &part, "ev_part").await;
        let foreign = with(event("payment.captured", &order, "pay_4"), "currency", json!("USD"));
        deliver(&shop, &foreign, "ev_foreign").await;
        assert_eq!(unmatched(&shop).await.len(), 2);
        assert_eq!(raw.number("SELECT count(*) FROM refunds"), 1);
        assert_eq!(ada.get(&path(&order)).await.body, shown);
        let emails = shop.sent_emails().await;
        let about = emails.iter().filter(|it| it.text.contains("2,598.00") && it.subject.contains("refund"));
        assert_eq!(about.count(), 1, "the customer gets one email: {emails:?}");
        let verified = shop.run(&["verify"]);
        assert!(verified.status.success(), "{verified:?}");
        shop.raw_db().assert_invariants();
    }

    async fn a_payment_pays_one_order(shop: TestShop) {
        let ada = shop.customer("ada").await;
        let (first, second) = (place(&shop, &ada).await, place(&shop, &ada).await);
        deliver(&shop, &event("payment.captured", &first, "pay_1"), "ev_1").await;
        deliver(&shop, &event("payment.captured", &second, "pay_1"), "ev_2").await;
        assert_eq!(statuses(&ada, &first).await, paid("pay_1"));
        assert_eq!(statuses(&ada, &second).await, pending());
        let reason = "the payment belongs to another order".to_owned();
        assert_eq!(unmatched(&shop).await, [(json!(259_800), json!("pay_1"), reason)]);
        deliver(&shop, &event("payment.captured", &second, "pay_2"), "ev_3").await;
        assert_eq!(statuses(&ada, &second).await, paid("pay_2"));
    }

    async fn a_late_payment_is_refunded_and_the_order_stays_cancelled(shop: TestShop) {
        let ada = shop.customer("ada").await;
        let order = place(&shop, &ada).await;
        ada.post(&format!("{}/cancel", path(&order)), Value::Null).await;
        deliver(&shop, &event("payment.captured", &order, "pay_1"), "ev_1").await;
        let late = ("CANCELLED".to_owned(), "REFUNDED".to_owned(), json!("pay_1"));
        assert_eq!(statuses(&ada, &order).await, late);
        deliver(&shop, &event("order.paid", &order, "pay_1"), "ev_2").await;
        assert_eq!(statuses(&ada, &order).await, late);
        let listed = shop.admin().await.get("/admin/payments?status=refunded").await;
        let reason = "it arrived after the order was cancelled; its refund is processed";
        assert_eq!(listed.text("/data/0/reason"), reason);
        assert_eq!(listed.number("/data/0/refundedAmount"), 259_800);
        // A duplicate payment after that is refunded as well.
        deliver(&shop, &event("payment.captured", &order, "pay_2"), "ev_3").await;
        assert_eq!(statuses(&ada, &order).await, late);
        assert_eq!(unmatched(&shop).await, []);
        let back = "SELECT count(*) FROM refunds WHERE status = 'PROCESSED'";
        assert_eq!(shop.raw_db().number(back), 2);
        shop.raw_db().assert_invariants();
    }

    async fn cancel_and_capture_race_to_one_outcome(shop: TestShop) {
        let ada = shop.customer("ada").await;
        for round in 0..10 {
            let order = place(&shop, &ada).await;
            let body = event("payment.captured", &order, &format!("pay_{round}")).to_string();
            let id = format!("ev_{round}");
            let cancel = format!("{}/cancel", path(&order));
            let (cancelled, captured) = futures_util::future::join(
                ada.post(&cancel, Value::Null),
                shop.deliver(body.as_bytes(), &id),
            )
            .await;
            assert_eq!(captured.status, 200);
            let (status, payment, _) = statuses(&ada, &order).await;
            // The money always pays the order or is refunded.
            match cancelled.status {
                200 => assert_eq!((status.as_str(), payment.as_str()), ("CANCELLED", "REFUNDED")),
                _ => assert_eq!((status.as_str(), payment.as_str()), ("PAID", "CAPTURED")),
            }
        }
        shop.raw_db().assert_invariants();
    }

    async fn every_signed_webhook_is_stored(shop: TestShop) {
        let ada = shop.customer("ada").await;
        let order = place(&shop, &ada).await;
        let authorized = event("payment.authorized", &order, "pay_1").to_string();
        let no_payment = r#"{"event":"payment.captured","payload":{}}"#;
        let bodies: [&[u8]; 9] = [
            authorized.as_bytes(),
            no_payment.as_bytes(),
            br#"{"event":"settlement.processed","payload":{"settlement":{"entity":{}}},"x":[]}"#,
            br#"{"event":7}"#,
            b"{}",
            b"[]",
            b"not JSON",
            b"\xff\xfe\x00",
            b"",
        ];
        let kinds = ["application/json", "text/plain", "application/x-www-form-urlencoded", "x"];
        for (number, body) in bodies.iter().enumerate() {
            let signature = shop.signature(body);
            let headers = [
                ("x-razorpay-signature", signature.as_str()),
                ("content-type", kinds[number % kinds.len()]),
            ];
            let anonymous = shop.anonymous();
            let answer = anonymous.raw(Method::POST, WEBHOOK, &headers, body.to_vec()).await;
            assert_eq!(answer.status, 200, "{body:?}");
        }
        let large = vec![b' '; 1024 * 1024];
        assert_eq!(shop.deliver(&large, "ev_large").await.status, 200);
        let raw = shop.raw_db();
        assert_eq!(raw.number("SELECT count(*) FROM payment_events"), 10);
        let outcomes = "SELECT string_agg(outcome, ' ' ORDER BY outcome) FROM
            (SELECT outcome || ':' || count(*) AS outcome FROM payment_events GROUP BY outcome)
            AS outcomes";
        assert_eq!(raw.text(outcomes), "ignored:3 unreadable:7");
        let admin = shop.admin().await;
        let listed = admin.get("/admin/payments?status=unmatched&limit=2").await;
        assert_eq!((listed.number("/total"), listed.json()["data"].as_array().unwrap().len()), (7, 2));
        assert_eq!(listed.text("/data/0/status"), "unmatched");
        assert!(listed.text("/data/0/reason").contains("could not be read"));
        let table = shop.run(&["admin", "payments", "list", "--status", "unmatched"]);
        let table = String::from_utf8(table.stdout).unwrap();
        assert_eq!(table.matches("could not be read").count(), 7, "{table}");
        assert_eq!(statuses(&ada, &order).await, pending());
    }

    async fn events_with_invalid_ids_are_stored_as_unreadable(shop: TestShop) {
        let ada = shop.customer("ada").await;
        let order = place(&shop, &ada).await;
        let right = event("payment.captured", &order, "pay_1");
        let longest = "p".repeat(255);
        for strange in ["pay_\0", &format!("{longest}p")] {
            for wrong in [
                with(right.clone(), "id", json!(strange)),
                with(right.clone(), "order_id", json!(strange)),
                json!({ "event": strange, "payload": right["payload"] }),
            ] {
                deliver(&shop, &wrong, "ev_strange").await;
            }
        }
        deliver(&shop, &with(right, "id", json!("\u{1}'; --\u{10ffff}")), "\u{e9}v").await;
        let raw = shop.raw_db();
        let unreadable = "SELECT count(*) FROM payment_events WHERE outcome = 'unreadable'
            AND event IS NULL AND provider_payment_id IS NULL";
        assert_eq!(raw.number(unreadable), 6);
        assert_eq!(statuses(&ada, &order).await, paid("\u{1}'; --\u{10ffff}"));

        let next = place(&shop, &ada).await;
        deliver(&shop, &event("payment.captured", &next, &longest), "ev_long").await;
        assert_eq!(statuses(&ada, &next).await, paid(&longest));
    }

    async fn a_body_above_the_limit_is_refused(shop: TestShop) {
        let huge = vec![b' '; 1024 * 1024 + 1];
        let refused = shop.deliver(&huge, "ev_huge").await;
        refused.assert_problem(413, "payload-too-large");
        assert_eq!(shop.raw_db().number("SELECT count(*) FROM payment_events"), 0);
    }

    async fn a_webhook_that_cannot_be_stored_fails(shop: TestShop) {
        let ada = shop.customer("ada").await;
        let order = place(&shop, &ada).await;
        let body = event("payment.captured", &order, "pay_1").to_string();
        let raw = shop.raw_db();
        raw.break_table("payment_events");
        let before = raw.dump();
        let failed = shop.deliver(body.as_bytes(), "ev_1").await;
        assert!(failed.status >= 500, "the provider retries");
        assert_eq!(raw.dump(), before);
        raw.repair_table("payment_events");
        assert_eq!(shop.deliver(body.as_bytes(), "ev_1").await.status, 200);
        assert_eq!(statuses(&ada, &order).await, paid("pay_1"));
    }

    async fn only_admins_see_payments(shop: TestShop) {
        let ada = shop.customer("ada").await;
        let first = place(&shop, &ada).await;
        place(&shop, &ada).await;
        shop.capture(&first).await;
        ada.get("/admin/payments").await.assert_problem(403, "forbidden");
        shop.anonymous().get("/admin/payments").await.assert_problem(401, "unauthorized");
        let admin = shop.admin().await;
        for (query, count) in [
            ("", 2), ("?status=captured", 1), ("?status=created", 1), ("?status=failed", 0),
            ("?status=refunded", 0), ("?status=unmatched", 0), ("?limit=1&page=2", 2),
        ] {
            let listed = admin.get(&format!("/admin/payments{query}")).await;
            assert_eq!(listed.number("/total"), count, "{query}");
        }
        for wrong in ["?status=CAPTURED", "?status=lost", "?page=0", "?order=1"] {
            let refused = admin.get(&format!("/admin/payments{wrong}")).await;
            refused.assert_problem(400, "invalid-query");
        }
    }
}
