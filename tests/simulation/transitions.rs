//! An order goes along the arrows of the one table, and along no other.

use std::time::Duration;

use proptest::{
    collection::vec,
    prelude::{Just, Strategy, prop_oneof},
};
use serde_json::{Value, json};
use shop::domain::{
    orders::{Actor, Status, TRANSITIONS},
    settlement,
};

use super::tell;
use crate::support::{Answer, Client, Engine, TestShop, shopping::path, storage_test};

/// What somebody tries with an order.
#[derive(Debug, Clone, Copy)]
enum Try {
    Cancel,
    Set(Status),
    Refund { amount: Option<i64> },
    Pay,
    FailToPay,
    LetExpire,
}

const PRICE: i64 = 30_000;

fn tries() -> impl Strategy<Value = Vec<Try>> {
    let sum = prop_oneof![Just(None), Just(Some(PRICE / 2)), Just(Some(PRICE))];
    let one = prop_oneof![
        1 => Just(Try::Cancel),
        5 => (0..Status::ALL.len()).prop_map(|at| Try::Set(Status::ALL[at])),
        3 => sum.prop_map(|amount| Try::Refund { amount }),
        3 => Just(Try::Pay),
        1 => Just(Try::FailToPay),
        1 => Just(Try::LetExpire),
    ];
    vec(one, 1..12)
}

async fn sets(admin: &Client<'_>, order: &Value, to: Status) -> Answer {
    let body = json!({ "status": to.as_str() });
    admin.patch(&format!("/admin{}", path(order)), body).await
}

async fn refunds(admin: &Client<'_>, order: &Value, amount: Option<i64>) -> Answer {
    let body = amount.map_or(json!({}), |amount| json!({ "amount": amount }));
    let refund = format!("/admin{}/refund", path(order));
    admin.post(&refund, body).await
}

/// Who moves an order by this, and the answer where there is one.
async fn attempt(shop: &TestShop, order: &Value, what: Try) -> (Actor, Option<Answer>) {
    let admin = shop.admin().await;
    match what {
        Try::Cancel => {
            let ada = shop.customer("ada").await;
            let cancel = format!("{}/cancel", path(order));
            (Actor::Customer, Some(ada.post(&cancel, Value::Null).await))
        }
        Try::Set(to) => (Actor::Admin, Some(sets(&admin, order, to).await)),
        // The provider has given the money back before the order shows it.
        Try::Refund { amount } => {
            let answer = refunds(&admin, order, amount).await;
            (Actor::Provider, Some(answer))
        }
        Try::Pay => {
            shop.capture(order).await;
            (Actor::Provider, None)
        }
        Try::FailToPay => {
            let failed = crate::support::provider::event("payment.failed", order, "pay_failed");
            let body = failed.to_string();
            let answer = shop.deliver(body.as_bytes(), "ev_failed").await;
            assert_eq!(answer.status, 200);
            (Actor::Provider, None)
        }
        Try::LetExpire => {
            shop.advance_clock(Duration::from_mins(31));
            settlement::expire_due(&shop.app).await.unwrap();
            (Actor::Clock, None)
        }
    }
}

/// Tries all of it with a fresh order: each change is an arrow, each refusal leaves all as it was.
async fn stays_on_the_arrows(shop: TestShop, tries: Vec<Try>) -> TestShop {
    let mug = shop.product("Mug", PRICE, 1).await;
    let order = shop.customer("ada").await.place_order(&mug, 1).await;
    let mut before = order.clone();
    for what in tries {
        let (mover, answer) = attempt(&shop, &order, what).await;
        let admin = shop.admin().await;
        let after = admin.get(&format!("/admin{}", path(&order))).await.json();
        let status = |order: &Value| Status::parse(order["status"].as_str().unwrap()).unwrap();
        let (from, to) = (status(&before), status(&after));
        if from != to {
            let arrow = TRANSITIONS
                .iter()
                .find(|arrow| (arrow.0, arrow.1) == (from, to));
            let (_, _, movers) = arrow.unwrap_or_else(|| panic!("{from:?} to {to:?}: {what:?}"));
            assert!(movers.contains(&mover), "{mover:?} took {from:?} to {to:?}");
        }
        match answer {
            Some(answer) if answer.status == 200 => assert_ne!(before, after, "{what:?}"),
            Some(answer) => {
                let refused = [
                    (409, "illegal-transition"),
                    (409, "refund-exceeds-captured"),
                ];
                let told = (answer.status, answer.code());
                let known = refused.contains(&(told.0, told.1.as_str()));
                let is_no_choice = told == (422, "validation-failed".to_owned());
                assert!(known || is_no_choice, "{what:?}: {answer:?}");
                assert_eq!(before, after, "{what:?} was refused");
            }
            None => {}
        }
        before = after;
        let is_back = before["status"] == "CANCELLED";
        assert_eq!(shop.stock(&mug).await, i64::from(is_back), "{what:?}");
    }
    shop
}

fn hold_to_the_arrows(engine: Engine) {
    tell(engine, tries(), async |shop, now, tries| {
        let shop = stays_on_the_arrows(shop, tries).await;
        shop.raw_db().assert_sound();
        (shop, now)
    });
}

#[test]
fn no_order_leaves_the_arrows_on_sqlite() {
    hold_to_the_arrows(Engine::Sqlite);
}

#[test]
fn no_order_leaves_the_arrows_on_postgres() {
    hold_to_the_arrows(Engine::Postgres);
}

storage_test! {
    async fn nothing_is_shipped_before_it_is_paid(shop: TestShop) {
        let mug = shop.product("Mug", PRICE, 1).await;
        let order = shop.customer("ada").await.place_order(&mug, 1).await;
        let admin = shop.admin().await;
        for status in [Status::Shipped, Status::Delivered] {
            sets(&admin, &order, status).await.is_problem(409, "illegal-transition");
        }
        shop.capture(&order).await;
        sets(&admin, &order, Status::Delivered).await.is_problem(409, "illegal-transition");
        assert_eq!(sets(&admin, &order, Status::Shipped).await.status, 200);
    }

    async fn no_more_goes_back_than_was_paid_nor_twice(shop: TestShop) {
        let mug = shop.product("Mug", PRICE, 1).await;
        let order = shop.customer("ada").await.place_order(&mug, 1).await;
        let admin = shop.admin().await;
        let code = "refund-exceeds-captured";
        refunds(&admin, &order, None).await.is_problem(409, code);
        shop.capture(&order).await;
        refunds(&admin, &order, Some(PRICE + 1)).await.is_problem(409, code);
        assert_eq!(refunds(&admin, &order, Some(1)).await.status, 200);
        refunds(&admin, &order, Some(PRICE)).await.is_problem(409, code);
        let refunded = refunds(&admin, &order, None).await;
        assert_eq!((refunded.status, refunded.text("/status").as_str()), (200, "REFUNDED"));
        for again in [None, Some(1), Some(PRICE)] {
            refunds(&admin, &order, again).await.is_problem(409, code);
        }
    }
}
