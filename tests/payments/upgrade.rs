//! Payment events that an earlier version recorded, when their outcome was a text such as `unmatched: no such order`.

use serde_json::{Value, json};
use shop::{core::finding::Findings, domain::payments};
use uuid::Uuid;

use super::deliver;
use crate::support::{
    EarlierShop, RawDb, TestShop,
    provider::{event, refund_event},
    storage_test,
};

/// The last version with such texts.
const VERSION: i32 = 20;

/// When the first event was received, in Unix milliseconds. Each further one is a second older.
const NEWEST: i64 = 1_769_860_000_000;

/// Every outcome that the earlier version wrote: the provider's name of the event, the order, the provider's ids of
/// the order, the payment and the refund, the amount, the outcome, and the note of a resolved event. Then what it
/// becomes: provider, kind, outcome, mismatch. Order 1 was paid at Razorpay; order 2 waits at the mock provider.
const EVENTS: &str = "
payment.captured   | 1 | order_1 | pay_own     |        | 1000 | captured                       |      | razorpay payment_captured captured -
order.paid         | 1 | order_1 | pay_own     |        | 1000 | repeated                       |      | razorpay payment_captured repeated -
order.paid         | 1 | order_1 | pay_twice   |        | 1000 | duplicate                      |      | razorpay payment_captured duplicate -
payment.captured   | 1 | order_1 | pay_thrice  |        | 1000 | unmatched: the order is paid already | | razorpay payment_captured unmatched already_paid
payment.captured   | 1 | order_1 | pay_settled |        | 1000 | duplicate                      | cash | razorpay payment_captured duplicate already_paid
payment.failed     | 1 | order_1 | pay_failed  |        | 1000 | failed                         |      | razorpay payment_failed failed -
payment.authorized |   | order_1 | pay_own     |        | 1000 | ignored                        |      | razorpay other ignored -
refund.processed   | 1 |         | pay_own     | rfnd_1 | 100  | refunded                       |      | razorpay refund_processed refunded -
refund.failed      | 1 |         | pay_own     | rfnd_2 | 100  | refund failed                  |      | razorpay refund_failed refund_failed -
refund.processed   |   |         | pay_lost    | rfnd_3 | 5    | refunded at the provider       |      | razorpay refund_processed refunded_at_provider -
                   |   |         |             |        |      | unreadable                     |      | razorpay unreadable unreadable -
payment.captured   |   | order_9 | pay_lost    |        | 7    | unmatched: no such order       |      | razorpay payment_captured unmatched unknown_order
refund.processed   |   |         | pay_later   | rfnd_4 | 1000 | unmatched: no such payment     |      | mock refund_processed unmatched unknown_payment
payment.captured   | 2 | order_2 | pay_little  |        | 1    | unmatched: another amount      |      | mock payment_captured unmatched amount
payment.captured   | 2 | order_2 | pay_dollars |        | 1000 | unmatched: another currency    |      | mock payment_captured unmatched currency
payment.captured   | 2 | order_2 | pay_own     |        | 1000 | unmatched: the payment belongs to another order | | mock payment_captured unmatched other_order
refund.processed   | 1 |         | pay_own     | rfnd_5 | 5000 | unmatched: more went back than was captured | | razorpay refund_processed unmatched exceeds_captured
                   |   |         |             |        |      | unreadable                     | cash | razorpay unreadable unreadable -
payment.captured   | 1 | order_1 | pay_much    |        | 5000 | unmatched: another amount      | cash | razorpay payment_captured unmatched amount";

/// Returns the cells of each line of [`EVENTS`].
fn events() -> impl Iterator<Item = [&'static str; 9]> {
    EVENTS.trim_start_matches('\n').lines().map(|line| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        cells.try_into().unwrap()
    })
}

/// Returns the SQL literal of a text; NULL if it is empty.
fn text(text: &str) -> String {
    if text.is_empty() {
        "NULL".to_owned()
    } else {
        format!("'{text}'")
    }
}

/// Returns the SQL literal of the id with this number.
fn id(raw: &RawDb, number: usize) -> String {
    raw.id(Uuid::from_u128(number as u128))
}

/// Writes two orders with payments and refunds, as the earlier version stored them.
fn fill_orders(raw: &RawDb) {
    let (user, first, second) = (id(raw, 9), id(raw, 1), id(raw, 2));
    raw.run(&format!(
        "INSERT INTO users (id, email, email_key, password_hash, name, role, email_verified,
                            phone_verified, created_at)
         VALUES ({user}, 'old@example.com', 'old@example.com', '-', 'Old', 'CUSTOMER', 1, 0, 0);
         INSERT INTO orders (id, number, user_id, status, total, created_at, updated_at)
         VALUES ({first}, '7K3M-9QXD', {user}, 'PAID', 1000, 0, 0),
                ({second}, '7K3M-9QXE', {user}, 'PENDING', 1000, 0, 0);
         INSERT INTO payments (order_id, id, provider, provider_order_id, status, amount,
                               transaction_id, created_at, updated_at)
         VALUES ({first}, {first}, 'razorpay', 'order_1', 'CAPTURED', 1000, 'pay_own', 0, 0),
                ({second}, {second}, 'mock', 'order_2', 'CREATED', 1000, NULL, 0, 0);
         INSERT INTO mock_payments (id, provider_order_id, amount, currency, status, created_at)
         VALUES ('pay_later', 'order_2', 1000, 'INR', 'captured', 0)"
    ));
    let refunds = [
        ("rfnd_1", 100, "PROCESSED", "provider", ""),
        ("rfnd_2", 100, "FAILED", "provider", ""),
        ("rfnd_6", 1000, "PROCESSED", "late", "pay_twice"),
        ("rfnd_7", 1000, "FAILED", "late", "pay_thrice"),
        ("rfnd_8", 1000, "PROCESSED", "late", "pay_settled"),
    ];
    for (number, (refund, amount, status, cause, payment)) in refunds.into_iter().enumerate() {
        let (id, payment) = (id(raw, 100 + number), text(payment));
        raw.run(&format!(
            "INSERT INTO refunds (id, order_id, amount, status, cause, restock, provider_refund_id,
                                  transaction_id, tries, created_at, updated_at)
             VALUES ({id}, {first}, {amount}, '{status}', '{cause}', 0, '{refund}', {payment}, 1, 0, 0)"
        ));
    }
}

/// Writes the events. The id of an event is 200 and its position.
fn fill_events(raw: &RawDb) {
    for (number, cells) in events().enumerate() {
        let [
            event,
            order,
            provider_order,
            payment,
            refund,
            amount,
            outcome,
            note,
            _,
        ] = cells;
        let order = match order.parse() {
            Ok(order) => id(raw, order),
            Err(_) => "NULL".to_owned(),
        };
        let body = refund_event(event, refund, payment, amount.parse().unwrap_or_default());
        let values = [
            id(raw, 200 + number),
            raw.bytes(number.to_string().as_bytes()),
            format!("'ev_{number}'"),
            text(event),
            order,
            text(provider_order),
            text(payment),
            text(refund),
            if amount.is_empty() { "NULL" } else { amount }.to_owned(),
            text(outcome),
            raw.bytes(body.to_string().as_bytes()),
            (NEWEST - 1000 * i64::try_from(number).unwrap()).to_string(),
            if note.is_empty() { "NULL" } else { "1" }.to_owned(),
            text(note),
        ];
        raw.run(&format!(
            "INSERT INTO payment_events (id, event_key, event_id, event, order_id, provider_order_id,
                                         provider_payment_id, provider_refund_id, amount, outcome,
                                         body, received_at, resolved_at, note)
             VALUES ({})",
            values.join(", ")
        ));
    }
}

/// Opens the shop that the earlier version left.
async fn upgraded(earlier: EarlierShop) -> TestShop {
    earlier.migrate_to(VERSION);
    let raw = earlier.raw_db();
    fill_orders(&raw);
    fill_events(&raw);
    drop(raw);
    earlier.upgraded().await
}

/// Returns transaction and reason of the entries with that status, newest first.
async fn listed(shop: &TestShop, status: &str) -> Vec<(Value, Value)> {
    let path = format!("/admin/payments?status={status}");
    let answer = shop.admin().await.get(&path).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let entries = answer.json()["data"].as_array().unwrap().clone();
    let seen = entries.iter().map(|entry| {
        assert_eq!(entry["status"], status);
        (entry["transactionId"].clone(), entry["reason"].clone())
    });
    seen.collect()
}

const UNREADABLE: &str = "signed, but the body could not be read";

storage_test! {
    async fn every_outcome_of_an_earlier_version_is_converted(earlier: EarlierShop) {
        let shop = upgraded(earlier).await;
        let rows = shop.raw_db().rows(
            "SELECT provider, kind, outcome, coalesce(mismatch, '-') FROM payment_events
             ORDER BY received_at DESC",
        );
        let seen = rows.into_iter().map(|row| row.into_iter().flatten().collect::<Vec<_>>().join(" "));
        assert!(seen.eq(events().map(|cells| cells[8].to_owned())), "{:?}", shop.raw_db().dump()["payment_events"]);
        let kept = "SELECT count(DISTINCT event_key) + count(event_id) + count(note) FROM payment_events";
        assert_eq!(shop.raw_db().number(kept), i64::try_from(2 * events().count() + 3).unwrap());
    }

    async fn unmatched_events_of_an_earlier_version_are_listed_with_their_reasons(earlier: EarlierShop) {
        let shop = upgraded(earlier).await;
        let entry = |transaction: Value, reason: &str| (transaction, json!(reason));
        assert_eq!(listed(&shop, "unmatched").await, [
            entry(json!("pay_thrice"), "the order is paid already"),
            entry(Value::Null, UNREADABLE),
            entry(json!("pay_lost"), "no such order"),
            entry(json!("pay_later"), "no such payment"),
            entry(json!("pay_little"), "another amount"),
            entry(json!("pay_dollars"), "another currency"),
            entry(json!("pay_own"), "the payment belongs to another order"),
            entry(json!("pay_own"), "more went back than was captured"),
        ]);
        assert_eq!(listed(&shop, "resolved").await, [
            entry(Value::Null, UNREADABLE),
            entry(json!("pay_much"), "another amount"),
        ]);
        let table = shop.run(&["admin", "payments", "list", "--status", "unmatched"]);
        let table = String::from_utf8(table.stdout).unwrap();
        assert_eq!(table.matches("minor units").count(), 1, "another currency: {table}");

        let totals = shop.app.db.read("test.totals", payments::totals).await.unwrap();
        assert_eq!(
            (totals.captured.get(), totals.refunded.get(), totals.unmatched.get()),
            (3000, 2100, 2008)
        );
        let findings = shop.app.db.read("test.verify", |tx| {
            let mut findings = Findings::default();
            payments::verify(tx, &mut findings)?;
            Ok(findings.all)
        });
        assert_eq!(findings.await.unwrap(), []);
    }

    async fn events_of_an_earlier_version_are_resolved_and_settled(earlier: EarlierShop) {
        let shop = upgraded(earlier).await;
        let admin = shop.admin().await;
        // A refund that was reported before its payment; a payment that is already known.
        let order = |id: &str| {
            json!({ "totalAmount": 1000, "currency": "INR", "payment": { "providerOrderId": id } })
        };
        deliver(&shop, &event("payment.captured", &order("order_2"), "pay_later"), "ev_new_1").await;
        assert_eq!(listed(&shop, "refunded").await, [(json!("pay_later"), Value::Null)]);
        for id in ["pay_own", "pay_twice", "pay_thrice"] {
            deliver(&shop, &event("payment.captured", &order("order_1"), id), "ev_new_2").await;
        }
        let count = "SELECT count(*) FROM payment_events WHERE outcome IN ('captured', 'duplicate')";
        assert_eq!(shop.raw_db().number(count), 4);
        assert_eq!(listed(&shop, "unmatched").await.len(), 7);

        // A duplicate payment that was resolved and then refunded; one that has no refund; one that was applied.
        for (number, note) in [(4, "cash"), (3, "looked into it")] {
            let place = format!("/admin/payments/{}/resolve", Uuid::from_u128(200 + number));
            let resolved = admin.post(&place, json!({ "note": "looked into it" })).await;
            assert_eq!(resolved.text("/status"), "resolved", "{resolved:?}");
            assert_eq!(resolved.text("/reason"), "the order is paid already");
            assert_eq!(resolved.text("/resolution/note"), note);
        }
        let place = format!("/admin/payments/{}/resolve", Uuid::from_u128(200));
        let refused = admin.post(&place, json!({ "note": "looked into it" })).await;
        refused.assert_problem(409, "not-unmatched");
        assert_eq!(listed(&shop, "unmatched").await.len(), 6);
    }
}
