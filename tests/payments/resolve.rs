//! Unmatched payments are resolved by an admin, or by later reports of the provider.

use serde_json::{Value, json};

use super::{deliver, place, unmatched};
use crate::support::{
    Client, TestShop,
    provider::{event, refund_event, with},
    storage_test,
};

/// Makes an unmatched payment of 100,000 for an order of 259,800. Returns its id in the list.
async fn partly_paid(shop: &TestShop, customer: &Client<'_>) -> String {
    let order = place(shop, customer).await;
    let part = with(
        event("payment.captured", &order, "pay_part"),
        "amount",
        json!(100_000),
    );
    deliver(shop, &part, "ev_part").await;
    let listed = shop
        .admin()
        .await
        .get("/admin/payments?status=unmatched")
        .await;
    assert_eq!(listed.number("/total"), 1);
    listed.text("/data/0/id")
}

storage_test! {
    async fn an_admin_resolves_an_unmatched_payment(shop: TestShop) {
        let ada = shop.customer("ada").await;
        let id = partly_paid(&shop, &ada).await;
        let admin = shop.admin().await;
        let place = format!("/admin/payments/{id}/resolve");
        let long = "é".repeat(1001);
        for wrong in [json!(""), json!("  "), json!(long), json!("a\u{0}"), json!(7), Value::Null] {
            admin.post(&place, json!({ "note": wrong })).await.assert_invalid_field("note");
        }
        admin.post(&place, json!({})).await.assert_invalid_field("note");
        let note = "é".repeat(1000);
        let resolved = admin.post(&place, json!({ "note": note })).await;
        assert_eq!(resolved.status, 200, "{resolved:?}");
        assert_eq!(resolved.text("/status"), "resolved");
        assert_eq!(resolved.text("/resolution/note"), note);
        assert_eq!(resolved.text("/resolution/at"), "2026-01-31T12:00:00.000Z");
        assert_eq!(resolved.text("/resolution/by"), admin.get("/me").await.text("/id"));
        assert_eq!(unmatched(&shop).await, []);
        let again = admin.post(&place, json!({ "note": "once more" })).await;
        assert_eq!((again.status, again.json()), (200, resolved.json()), "the first note stays");
        let listed = admin.get("/admin/payments?status=resolved").await;
        assert_eq!(listed.json()["data"], json!([resolved.json()]));
    }

    async fn only_an_unmatched_payment_is_resolved(shop: TestShop) {
        let ada = shop.customer("ada").await;
        let order = place(&shop, &ada).await;
        shop.capture(&order).await;
        let admin = shop.admin().await;
        let body = json!({ "note": "looked into it" });
        let resolve = async |client: &Client<'_>, id: &str| {
            client.post(&format!("/admin/payments/{id}/resolve"), body.clone()).await
        };
        let payment = admin.get("/admin/payments").await.text("/data/0/id");
        resolve(&admin, &payment).await.assert_problem(409, "not-unmatched");
        for unknown in ["01900000-0000-7000-8000-000000000000", "no-id"] {
            resolve(&admin, unknown).await.assert_problem(404, "not-found");
        }
        resolve(&ada, &payment).await.assert_problem(403, "forbidden");
        resolve(&shop.anonymous(), &payment).await.assert_problem(401, "unauthorized");
    }

    async fn a_command_resolves_an_unmatched_payment(shop: TestShop) {
        let ada = shop.customer("ada").await;
        let id = partly_paid(&shop, &ada).await;
        let resolve = |id: &str, note: &str| {
            shop.run(&["admin", "payments", "resolve", id, "--note", note, "--json"])
        };
        let done = resolve(&id, "paid out in cash");
        assert!(done.status.success(), "{done:?}");
        let entry: Value = serde_json::from_slice(&done.stdout).unwrap();
        assert_eq!((&entry["status"], &entry["resolution"]["note"]), (&json!("resolved"), &json!("paid out in cash")));
        assert_eq!(entry["resolution"]["by"], Value::Null);
        assert_eq!(resolve(&id, "again").status.code(), Some(0));
        assert_eq!(resolve(&id, " ").status.code(), Some(2));
        assert_eq!(resolve("01900000-0000-7000-8000-000000000000", "x").status.code(), Some(1));
        assert_eq!(unmatched(&shop).await, []);
    }

    async fn a_refund_in_the_dashboard_resolves_an_unmatched_payment(shop: TestShop) {
        let ada = shop.customer("ada").await;
        partly_paid(&shop, &ada).await;
        // Two refunds of the same amount, one of them reported twice.
        for (number, refund) in ["rfnd_1", "rfnd_1", "rfnd_2"].iter().enumerate() {
            assert_eq!(unmatched(&shop).await.len(), 1, "not refunded in full");
            let back = refund_event("refund.processed", refund, "pay_part", 50_000);
            deliver(&shop, &back, &format!("ev_back_{number}")).await;
        }
        assert_eq!(unmatched(&shop).await, []);
        let failed = refund_event("refund.failed", "rfnd_3", "pay_part", 50_000);
        deliver(&shop, &failed, "ev_failed").await;
        assert_eq!(unmatched(&shop).await, []);
    }

    async fn a_refund_in_the_dashboard_may_be_reported_first(shop: TestShop) {
        let ada = shop.customer("ada").await;
        let back = refund_event("refund.processed", "rfnd_1", "pay_part", 100_000);
        deliver(&shop, &back, "ev_back").await;
        assert_eq!(unmatched(&shop).await.len(), 1, "of a payment that is not known");
        let order = place(&shop, &ada).await;
        let part = with(event("payment.captured", &order, "pay_part"), "amount", json!(100_000));
        deliver(&shop, &part, "ev_part").await;
        assert_eq!(unmatched(&shop).await, []);
        deliver(&shop, &part, "ev_part_again").await;
        deliver(&shop, &back, "ev_back_again").await;
        assert_eq!(unmatched(&shop).await, []);
    }
}
