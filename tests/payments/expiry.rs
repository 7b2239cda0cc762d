//! Unpaid orders expire, and their stock is returned.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shop::{
    domain::{orders, settlement::expire_due},
    worker::ExpiryPause,
};

use super::{deliver, statuses};
use crate::support::{provider::event, shopping::path, storage_test};

const MINUTE: Duration = Duration::from_mins(1);

storage_test! {
    async fn an_unpaid_order_expires(shop: TestShop) {
        let ada = shop.customer("ada").await;
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let order = ada.place_order(&kettle, 2).await;
        shop.advance_clock(29 * MINUTE);
        let ada = shop.customer("ada").await;
        let younger = ada.place_order(&kettle, 1).await;
        assert_eq!(expire_due(&shop.app).await.unwrap(), 0);
        shop.advance_clock(MINUTE + Duration::from_millis(1));
        assert_eq!(expire_due(&shop.app).await.unwrap(), 1);
        assert_eq!(expire_due(&shop.app).await.unwrap(), 0);
        assert_eq!(statuses(&ada, &order).await.0, "CANCELLED");
        assert_eq!(statuses(&ada, &younger).await.0, "PENDING");
        assert_eq!(shop.stock(&kettle).await, 4);
        let events = shop.events().await;
        assert_eq!(*events.last().unwrap(), json!([{ "id": kettle, "stockQuantity": 4 }]));
        let causes = "SELECT cause FROM stock_movements WHERE delta > 0 AND order_id IS NOT NULL";
        assert_eq!(shop.raw_db().text(causes), "expiry");
        shop.raw_db().assert_invariants();
    }

    async fn orders_expire_in_batches(shop: TestShop) {
        let ada = shop.customer("ada").await;
        let kettle = shop.product("Kettle", 129_900, 500).await;
        for _ in 0..45 {
            ada.place_order(&kettle, 1).await;
        }
        let paid = ada.place_order(&kettle, 1).await;
        shop.capture(&paid).await;
        shop.advance_clock(31 * MINUTE);
        assert_eq!(expire_due(&shop.app).await.unwrap(), 45);
        let ada = shop.customer("ada").await;
        assert_eq!(shop.stock(&kettle).await, 499);
        assert_eq!(statuses(&ada, &paid).await.0, "PAID");
        shop.raw_db().assert_invariants();
    }

    async fn a_payment_after_expiry_is_refunded(shop: TestShop) {
        let ada = shop.customer("ada").await;
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let order = ada.place_order(&kettle, 2).await;
        deliver(&shop, &event("payment.failed", &order, "pay_0"), "ev_0").await;
        shop.advance_clock(31 * MINUTE);
        expire_due(&shop.app).await.unwrap();
        let ada = shop.customer("ada").await;
        deliver(&shop, &event("payment.captured", &order, "pay_1"), "ev_1").await;
        let (status, payment, _) = statuses(&ada, &order).await;
        assert_eq!((status.as_str(), payment.as_str()), ("CANCELLED", "REFUNDED"));
        assert_eq!(shop.stock(&kettle).await, 5, "once");
        shop.raw_db().assert_invariants();
    }

    async fn expiry_capture_and_cancel_race_to_one_outcome(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 100).await;
        let mut kept = 0;
        for round in 0..8 {
            let ada = shop.customer("ada").await;
            let order = ada.place_order(&kettle, 1).await;
            shop.advance_clock(31 * MINUTE);
            let ada = shop.customer("ada").await;
            let captured = event("payment.captured", &order, &format!("pay_{round}")).to_string();
            let (id, cancel) = (format!("ev_{round}"), format!("{}/cancel", path(&order)));
            let (expired, again, delivered, cancelled) = futures_util::future::join4(
                expire_due(&shop.app),
                expire_due(&shop.app),
                shop.deliver(captured.as_bytes(), &id),
                ada.post(&cancel, Value::Null),
            )
            .await;
            assert_eq!(delivered.status, 200);
            let expired = expired.unwrap() + again.unwrap();
            let (status, payment, _) = statuses(&ada, &order).await;
            let cancels = expired + usize::from(cancelled.status == 200);
            match status.as_str() {
                "PAID" => assert_eq!((cancels, payment.as_str()), (0, "CAPTURED")),
                _ => assert_eq!((cancels, payment.as_str()), (1, "REFUNDED")),
            }
            kept += i64::from(status == "PAID");
        }
        assert_eq!(shop.stock(&kettle).await, 100 - kept);
        shop.raw_db().assert_invariants();
    }

    async fn a_clock_jump_pauses_expiry(shop: TestShop) {
        let (pause, began) = (ExpiryPause::default(), Instant::now());
        let after = |span: Duration| began + span;
        assert!(!pause.is_active(&shop.app, began));
        shop.advance_clock(MINUTE);
        assert!(!pause.is_active(&shop.app, after(MINUTE)), "time that passes is no jump");
        shop.advance_clock(Duration::from_hours(365 * 24));
        assert!(pause.is_active(&shop.app, after(MINUTE)));
        shop.advance_clock(29 * MINUTE);
        assert!(pause.is_active(&shop.app, after(30 * MINUTE)));
        shop.advance_clock(MINUTE);
        assert!(!pause.is_active(&shop.app, after(31 * MINUTE)), "a whole window later");
        shop.app.clock.set_back(Duration::from_hours(1));
        assert!(!pause.is_active(&shop.app, after(31 * MINUTE)));
    }

    async fn pay_returns_the_payment_session(shop: TestShop) {
        let (ada, bob) = (shop.customer("ada").await, shop.customer("bob").await);
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let order = ada.place_order(&kettle, 2).await;
        let pay = format!("{}/pay", path(&order));
        let session = ada.post(&pay, Value::Null).await;
        assert_eq!(session.status, 200, "{session:?}");
        assert_eq!(session.json(), json!({
            "provider": "mock",
            "keyId": "rzp_test_mock",
            "providerOrderId": order["payment"]["providerOrderId"],
            "amount": 259_800,
            "currency": "INR",
        }));
        bob.post(&pay, Value::Null).await.assert_problem(404, "not-found");
        deliver(&shop, &event("payment.failed", &order, "pay_1"), "ev_1").await;
        assert_eq!(ada.post(&pay, Value::Null).await.status, 200, "the customer may pay again");
        shop.capture(&order).await;
        ada.post(&pay, Value::Null).await.assert_problem(409, "illegal-transition");
    }
}

#[test]
fn the_documented_diagram_matches_the_transitions() {
    let document = include_str!("../../ARCHITECTURE.md");
    assert!(
        document.contains(&orders::diagram()),
        "{}",
        orders::diagram()
    );
}
