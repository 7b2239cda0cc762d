//! Orders that nobody pays: they expire by themselves, and their stock goes back.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shop::{
    domain::orders::{self, worker::expire_due},
    worker::ExpiryPause,
};

use super::{standing, tell};
use crate::support::{provider::event, shopping::path, storage_test};

const MINUTE: Duration = Duration::from_mins(1);

storage_test! {
    async fn an_order_that_is_not_paid_in_time_is_cancelled(shop: TestShop) {
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
        assert_eq!(standing(&ada, &order).await.0, "CANCELLED");
        assert_eq!(standing(&ada, &younger).await.0, "PENDING");
        assert_eq!(shop.stock(&kettle).await, 4);
        let told = shop.events().await;
        assert_eq!(*told.last().unwrap(), json!([{ "id": kettle, "stockQuantity": 4 }]));
        let causes = "SELECT cause FROM stock_movements WHERE delta > 0 AND order_id IS NOT NULL";
        assert_eq!(shop.raw_db().text(causes), "expiry");
        shop.raw_db().assert_sound();
    }

    async fn many_expire_in_small_batches(shop: TestShop) {
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
        assert_eq!(standing(&ada, &paid).await.0, "PAID");
        shop.raw_db().assert_sound();
    }

    async fn money_that_comes_after_the_expiry_goes_back(shop: TestShop) {
        let ada = shop.customer("ada").await;
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let order = ada.place_order(&kettle, 2).await;
        tell(&shop, &event("payment.failed", &order, "pay_0"), "ev_0").await;
        shop.advance_clock(31 * MINUTE);
        expire_due(&shop.app).await.unwrap();
        let ada = shop.customer("ada").await;
        tell(&shop, &event("payment.captured", &order, "pay_1"), "ev_1").await;
        let (status, payment, _) = standing(&ada, &order).await;
        assert_eq!((status.as_str(), payment.as_str()), ("CANCELLED", "REFUNDED"));
        assert_eq!(shop.stock(&kettle).await, 5, "once");
        shop.raw_db().assert_sound();
    }

    async fn expiry_against_capture_and_cancel_has_one_outcome(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 100).await;
        let mut kept = 0;
        for round in 0..8 {
            let ada = shop.customer("ada").await;
            let order = ada.place_order(&kettle, 1).await;
            shop.advance_clock(31 * MINUTE);
            let ada = shop.customer("ada").await;
            let captured = event("payment.captured", &order, &format!("pay_{round}")).to_string();
            let (id, cancel) = (format!("ev_{round}"), format!("{}/cancel", path(&order)));
            let (expired, again, told, cancelled) = futures_util::future::join4(
                expire_due(&shop.app),
                expire_due(&shop.app),
                shop.deliver(captured.as_bytes(), &id),
                ada.post(&cancel, Value::Null),
            )
            .await;
            assert_eq!(told.status, 200);
            let expired = expired.unwrap() + again.unwrap();
            let (status, payment, _) = standing(&ada, &order).await;
            let cancels = expired + usize::from(cancelled.status == 200);
            match status.as_str() {
                "PAID" => assert_eq!((cancels, payment.as_str()), (0, "CAPTURED")),
                _ => assert_eq!((cancels, payment.as_str()), (1, "REFUNDED")),
            }
            kept += i64::from(status == "PAID");
        }
        assert_eq!(shop.stock(&kettle).await, 100 - kept);
        shop.raw_db().assert_sound();
    }

    async fn a_clock_that_leaps_lets_nobody_expire_at_once(shop: TestShop) {
        let (patience, began) = (ExpiryPause::default(), Instant::now());
        let after = |span: Duration| began + span;
        assert!(!patience.is_asked_for(&shop.app, began));
        shop.advance_clock(MINUTE);
        assert!(!patience.is_asked_for(&shop.app, after(MINUTE)), "time that passes is no leap");
        shop.advance_clock(Duration::from_hours(365 * 24));
        assert!(patience.is_asked_for(&shop.app, after(MINUTE)));
        shop.advance_clock(29 * MINUTE);
        assert!(patience.is_asked_for(&shop.app, after(30 * MINUTE)));
        shop.advance_clock(MINUTE);
        assert!(!patience.is_asked_for(&shop.app, after(31 * MINUTE)), "a whole window later");
        shop.app.clock.set_back(Duration::from_hours(1));
        assert!(!patience.is_asked_for(&shop.app, after(31 * MINUTE)));
    }

    async fn paying_tells_what_the_providers_checkout_needs(shop: TestShop) {
        let (ada, bob) = (shop.customer("ada").await, shop.customer("bob").await);
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let order = ada.place_order(&kettle, 2).await;
        let pay = format!("{}/pay", path(&order));
        let told = ada.post(&pay, Value::Null).await;
        assert_eq!(told.status, 200, "{told:?}");
        assert_eq!(told.json(), json!({
            "provider": "mock",
            "keyId": "rzp_test_mock",
            "providerOrderId": order["payment"]["providerOrderId"],
            "amount": 259_800,
            "currency": "INR",
        }));
        bob.post(&pay, Value::Null).await.is_problem(404, "not-found");
        tell(&shop, &event("payment.failed", &order, "pay_1"), "ev_1").await;
        assert_eq!(ada.post(&pay, Value::Null).await.status, 200, "one may pay again");
        shop.capture(&order).await;
        ada.post(&pay, Value::Null).await.is_problem(409, "illegal-transition");
    }
}

#[test]
fn the_documented_diagram_is_that_of_the_arrows() {
    let document = include_str!("../../ARCHITECTURE.md");
    assert!(
        document.contains(&orders::diagram()),
        "{}",
        orders::diagram()
    );
}
