//! Refunds: in part, once for each idempotency key, never more than was captured.

use http::Method;
use serde_json::{Value, json};

use super::{deliver, statuses};
use crate::support::{
    Client, TestResponse, TestShop,
    provider::{event, refund_event},
    shopping::path,
    storage_test,
};

/// Places and pays an order of two kettles for 259,800.
async fn paid_order(shop: &TestShop, customer: &Client<'_>) -> (String, Value) {
    let kettle = shop.product("Kettle", 129_900, 5).await;
    let order = customer.place_order(&kettle, 2).await;
    shop.capture(&order).await;
    (kettle, order)
}

async fn refund(admin: &Client<'_>, order: &Value, body: Value) -> TestResponse {
    admin
        .post(&format!("/admin{}/refund", path(order)), body)
        .await
}

storage_test! {
    async fn a_full_refund_changes_the_status_to_refunded(shop: TestShop) {
        let (ada, admin) = (shop.customer("ada").await, shop.admin().await);
        let (kettle, order) = paid_order(&shop, &ada).await;
        let done = refund(&admin, &order, Value::Null).await;
        assert_eq!(done.status, 200, "{done:?}");
        assert_eq!(done.text("/status"), "REFUNDED");
        assert_eq!(done.text("/payment/status"), "REFUNDED");
        assert_eq!(done.number("/payment/refundedAmount"), 259_800);
        assert_eq!(done.number("/payment/refunds/0/amount"), 259_800);
        assert_eq!(done.text("/payment/refunds/0/status"), "PROCESSED");
        assert_eq!(ada.get(&path(&order)).await.json(), done.json());
        assert_eq!(shop.stock(&kettle).await, 3, "not restocked unless requested");
        refund(&admin, &order, Value::Null).await.assert_problem(409, "refund-exceeds-captured");
        shop.raw_db().assert_invariants();
    }

    async fn partial_refunds_are_accepted_up_to_the_total(shop: TestShop) {
        let (ada, admin) = (shop.customer("ada").await, shop.admin().await);
        let (kettle, order) = paid_order(&shop, &ada).await;
        let first = refund(&admin, &order, json!({ "amount": 59_800, "restock": true })).await;
        assert_eq!(first.text("/status"), "PAID");
        assert_eq!(first.text("/payment/status"), "CAPTURED");
        assert_eq!(first.number("/payment/refundedAmount"), 59_800);
        assert_eq!(shop.stock(&kettle).await, 3, "restocked with the refund that completes");
        let shipped = json!({ "status": "SHIPPED" });
        assert_eq!(admin.patch(&format!("/admin{}", path(&order)), shipped).await.status, 200);

        let more = refund(&admin, &order, json!({ "amount": 200_001 })).await;
        more.assert_problem(409, "refund-exceeds-captured");
        assert_eq!(more.text("/detail"), "200000 can be refunded, not 200001");
        let events = shop.events().await.len();
        let last = refund(&admin, &order, json!({ "amount": 200_000 })).await;
        assert_eq!(last.text("/status"), "REFUNDED");
        assert_eq!(last.json()["payment"]["refunds"].as_array().map(Vec::len), Some(2));
        assert_eq!(shop.stock(&kettle).await, 5);
        assert_eq!(shop.events().await.len(), events + 1, "an event was sent");
        refund(&admin, &order, json!({ "amount": 1, "restock": true })).await
            .assert_problem(409, "refund-exceeds-captured");
        assert_eq!(shop.stock(&kettle).await, 5, "once");
        shop.raw_db().assert_invariants();
    }

    async fn an_unpaid_order_cannot_be_refunded(shop: TestShop) {
        let (ada, admin) = (shop.customer("ada").await, shop.admin().await);
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let order = ada.place_order(&kettle, 1).await;
        refund(&admin, &order, Value::Null).await.assert_problem(409, "refund-exceeds-captured");
        refund(&admin, &order, json!({ "amount": 1 })).await
            .assert_problem(409, "refund-exceeds-captured");
        deliver(&shop, &event("payment.failed", &order, "pay_1"), "ev_1").await;
        refund(&admin, &order, Value::Null).await.assert_problem(409, "refund-exceeds-captured");
        assert_eq!(ada.get(&path(&order)).await.text("/status"), "PENDING");
        assert_eq!(shop.raw_db().number("SELECT count(*) FROM refunds"), 0);
    }

    async fn an_invalid_refund_is_refused(shop: TestShop) {
        let (ada, admin) = (shop.customer("ada").await, shop.admin().await);
        let (_, order) = paid_order(&shop, &ada).await;
        for (body, field) in [
            (json!({ "amount": 0 }), "amount"),
            (json!({ "amount": -1 }), "amount"),
            (json!({ "amount": 1.5 }), "amount"),
            (json!({ "amount": "1" }), "amount"),
            (json!({ "amount": 9_007_199_254_740_992_i64 }), "amount"),
            (json!({ "restock": "yes" }), "restock"),
            (json!({ "reason": "broken" }), "reason"),
        ] {
            refund(&admin, &order, body).await.assert_invalid_field(field);
        }
        refund(&ada, &order, Value::Null).await.assert_problem(403, "forbidden");
        let nobodys = json!({ "id": "00000000-0000-0000-0000-000000000000" });
        refund(&admin, &nobodys, Value::Null).await.assert_problem(404, "not-found");
        assert_eq!(ada.get(&path(&order)).await.number("/payment/refundedAmount"), 0);
    }

    async fn one_key_refunds_once(shop: TestShop) {
        let (ada, admin) = (shop.customer("ada").await, shop.admin().await);
        let (_, order) = paid_order(&shop, &ada).await;
        let place = format!("/admin{}/refund", path(&order));
        let key = [("idempotency-key", "refund-1")];
        let body = json!({ "amount": 1000 });
        let attempts = (0..8).map(|_| admin.call(Method::POST, &place, &key, body.clone()));
        let answers = futures_util::future::join_all(attempts).await;
        for answer in &answers {
            assert_eq!((answer.status, &answer.body), (200, &answers[0].body));
        }
        let replays = answers.iter().filter(|it| it.header("idempotent-replayed").is_some());
        assert_eq!(replays.count(), 7);
        let now = ada.get(&path(&order)).await;
        assert_eq!(now.number("/payment/refundedAmount"), 1000);
        admin.call(Method::POST, &place, &key, json!({ "amount": 2000 })).await
            .assert_problem(422, "idempotency-key-reused");
    }

    async fn concurrent_refunds_never_exceed_the_captured_amount(shop: TestShop) {
        let (ada, admin) = (shop.customer("ada").await, shop.admin().await);
        let (_, order) = paid_order(&shop, &ada).await;
        let attempts = (0..20).map(|_| refund(&admin, &order, json!({ "amount": 60_000 })));
        let answers = futures_util::future::join_all(attempts).await;
        let done = answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!(done, 4, "four times 60,000 of 259,800");
        for refused in answers.iter().filter(|answer| answer.status != 200) {
            refused.assert_problem(409, "refund-exceeds-captured");
        }
        assert_eq!(ada.get(&path(&order)).await.number("/payment/refundedAmount"), 240_000);
    }

    async fn a_refund_at_the_provider_is_recorded(shop: TestShop) {
        let ada = shop.customer("ada").await;
        let (kettle, order) = paid_order(&shop, &ada).await;
        let transaction = statuses(&ada, &order).await.2;
        let transaction = transaction.as_str().unwrap();
        for _ in 0..2 {
            let reported = refund_event("refund.processed", "rfnd_1", transaction, 100_000);
            deliver(&shop, &reported, "ev_r1").await;
        }
        let now = ada.get(&path(&order)).await;
        assert_eq!(now.number("/payment/refundedAmount"), 100_000);
        assert_eq!(now.text("/status"), "PAID");
        let reported = refund_event("refund.processed", "rfnd_2", transaction, 159_801);
        deliver(&shop, &reported, "ev_r2").await;
        let seen = super::unmatched(&shop).await;
        assert_eq!(seen[0].2, "more went back than was captured");
        let reported = refund_event("refund.processed", "rfnd_3", transaction, 159_800);
        deliver(&shop, &reported, "ev_r3").await;
        assert_eq!(ada.get(&path(&order)).await.text("/status"), "REFUNDED");
        assert_eq!(shop.stock(&kettle).await, 3);
    }

    async fn a_refund_reported_before_its_payment_is_applied_later(shop: TestShop) {
        let ada = shop.customer("ada").await;
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let order = ada.place_order(&kettle, 2).await;
        let reported = refund_event("refund.processed", "rfnd_1", "pay_1", 259_800);
        deliver(&shop, &reported, "ev_1").await;
        assert_eq!(super::unmatched(&shop).await[0].2, "no such payment");
        deliver(&shop, &event("payment.captured", &order, "pay_1"), "ev_2").await;
        let now = ada.get(&path(&order)).await;
        assert_eq!((now.text("/status"), now.text("/payment/status")), ("REFUNDED".into(), "REFUNDED".into()));
        assert_eq!(super::unmatched(&shop).await, []);
    }
}
