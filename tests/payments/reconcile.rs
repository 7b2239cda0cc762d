//! Reconciliation: finds what lost webhooks would have reported in the provider's record.

use serde_json::Value;
use shop::{
    core::money::Money,
    domain::settlement::{Reconciled, reconcile},
    infra::ports::{Mock, gateway::SimulatedPayment},
};

use super::{deliver, statuses, unmatched};
use crate::support::{TestShop, shopping::path, storage_test};

/// Pays at the provider without sending webhooks. Returns the payment's entity.
async fn pay_without_webhook(shop: &TestShop, order: &Value, fails: bool) -> Value {
    let order_id = order["payment"]["providerOrderId"]
        .as_str()
        .unwrap()
        .to_owned();
    let amount = Money::try_from(order["totalAmount"].as_i64().unwrap()).unwrap();
    let played = shop.app.db.write("test.pay", move |tx| {
        let currency = "INR";
        Mock::pay(
            tx,
            &SimulatedPayment {
                order_id: &order_id,
                amount,
                currency,
                fails,
            },
        )
    });
    played.await.unwrap()
}

async fn reconciled(shop: &TestShop) -> Reconciled {
    reconcile(&shop.app, |_| ()).await.unwrap()
}

storage_test! {
    async fn a_lost_capture_is_found(shop: TestShop) {
        let (ada, bob) = (shop.customer("ada").await, shop.customer("bob").await);
        let kettle = shop.product("Kettle", 129_900, 9).await;
        let lost = ada.place_order(&kettle, 1).await;
        let waiting = bob.place_order(&kettle, 1).await;
        let received = bob.place_order(&kettle, 1).await;
        let paid = pay_without_webhook(&shop, &lost, false).await;
        let entity = pay_without_webhook(&shop, &received, false).await;
        deliver(&shop, &Mock::event("payment.captured", &entity, shop.app.clock.now()), "ev_1").await;

        let found = reconciled(&shop).await;
        assert_eq!(found, Reconciled { compared: 3, captured: 1, ..Reconciled::default() });
        let (status, payment, transaction) = statuses(&ada, &lost).await;
        assert_eq!((status.as_str(), payment.as_str()), ("PAID", "CAPTURED"));
        assert_eq!(transaction, paid["id"]);
        assert_eq!(statuses(&bob, &waiting).await.0, "PENDING");
        let again = reconciled(&shop).await;
        assert_eq!(again, Reconciled { compared: 3, ..Reconciled::default() });

        // A late webhook changes nothing.
        let late = Mock::event("payment.captured", &paid, shop.app.clock.now());
        deliver(&shop, &late, "ev_late").await;
        assert_eq!(statuses(&ada, &lost).await.2, paid["id"]);
        let signatures = "SELECT string_agg(signature, ' ' ORDER BY received_at, outcome)
            FROM payment_events WHERE outcome = 'captured'";
        let signatures = shop.raw_db().text(signatures);
        let mut signatures: Vec<_> = signatures.split(' ').collect();
        signatures.sort_unstable();
        assert_eq!(signatures, ["none", "valid"]);
    }

    async fn totals_above_the_largest_amount_are_capped(shop: TestShop) {
        let ada = shop.customer("ada").await;
        let kettle = shop.product("Kettle", 129_900, 9).await;
        for _ in 0..2 {
            let order = ada.place_order(&kettle, 1).await;
            shop.capture(&order).await;
        }
        // 100 orders may come to this, and more of them to more than 64 bits.
        shop.raw_db().run("UPDATE payment_events SET amount = 9223372036854775807");
        let done = shop.run(&["admin", "payments", "reconcile", "--json"]);
        assert!(done.status.success(), "{done:?}");
        let output: Value = serde_json::from_slice(&done.stdout).unwrap();
        assert_eq!(output["totals"]["captured"], 9_007_199_254_740_991_i64);
        assert_eq!(output["totals"]["totalsAreCapped"], true);
        let done = shop.run(&["admin", "payments", "reconcile"]);
        let output = String::from_utf8(done.stdout).unwrap();
        assert!(output.contains("INR 90,071,992,547,409.91 or more captured"), "{output}");
    }

    async fn a_lost_capture_of_a_cancelled_order_is_refunded(shop: TestShop) {
        let ada = shop.customer("ada").await;
        let kettle = shop.product("Kettle", 129_900, 9).await;
        let order = ada.place_order(&kettle, 1).await;
        pay_without_webhook(&shop, &order, false).await;
        ada.post(&format!("{}/cancel", path(&order)), Value::Null).await;
        assert_eq!(reconciled(&shop).await.captured, 1);
        let (status, payment, _) = statuses(&ada, &order).await;
        assert_eq!((status.as_str(), payment.as_str()), ("CANCELLED", "REFUNDED"));
        assert_eq!(shop.stock(&kettle).await, 9);
    }

    async fn a_lost_failure_is_found_and_a_duplicate_payment_refunded(shop: TestShop) {
        let ada = shop.customer("ada").await;
        let kettle = shop.product("Kettle", 129_900, 9).await;
        let order = ada.place_order(&kettle, 1).await;
        pay_without_webhook(&shop, &order, true).await;
        assert_eq!(reconciled(&shop).await.failed, 1);
        assert_eq!(statuses(&ada, &order).await.1, "FAILED");
        let first = pay_without_webhook(&shop, &order, false).await;
        shop.advance_clock(std::time::Duration::from_secs(1));
        let second = pay_without_webhook(&shop, &order, false).await;
        let found = reconciled(&shop).await;
        assert_eq!((found.captured, found.duplicates, found.unmatched), (1, 1, 0));
        assert_eq!(statuses(&ada, &order).await.2, first["id"]);
        assert_eq!(unmatched(&shop).await, []);
        let back = "SELECT transaction_id FROM refunds WHERE status = 'PROCESSED'";
        assert_eq!(shop.raw_db().text(back), second["id"].as_str().unwrap());
        let again = reconciled(&shop).await;
        assert_eq!(again, Reconciled { compared: 1, ..Reconciled::default() }, "found once");
    }
}
