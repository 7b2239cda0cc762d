//! Orders change their status only as the table `TRANSITIONS` allows.

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

use super::run_scenarios;
use crate::support::{Client, Engine, TestResponse, TestShop, shopping::path, storage_test};

/// An attempt to change an order.
#[derive(Debug, Clone, Copy)]
enum Attempt {
    Cancel,
    SetStatus(Status),
    Refund { amount: Option<i64> },
    Pay,
    FailToPay,
    Expire,
}

const PRICE: i64 = 30_000;

fn attempts() -> impl Strategy<Value = Vec<Attempt>> {
    let amount = prop_oneof![Just(None), Just(Some(PRICE / 2)), Just(Some(PRICE))];
    let attempt = prop_oneof![
        1 => Just(Attempt::Cancel),
        5 => (0..Status::ALL.len()).prop_map(|index| Attempt::SetStatus(Status::ALL[index])),
        3 => amount.prop_map(|amount| Attempt::Refund { amount }),
        3 => Just(Attempt::Pay),
        1 => Just(Attempt::FailToPay),
        1 => Just(Attempt::Expire),
    ];
    vec(attempt, 1..12)
}

async fn set_status(admin: &Client<'_>, order: &Value, to: Status) -> TestResponse {
    let body = json!({ "status": to.as_str() });
    admin.patch(&format!("/admin{}", path(order)), body).await
}

async fn refund(admin: &Client<'_>, order: &Value, amount: Option<i64>) -> TestResponse {
    let body = amount.map_or(json!({}), |amount| json!({ "amount": amount }));
    let path = format!("/admin{}/refund", path(order));
    admin.post(&path, body).await
}

/// Performs an attempt. Returns its actor, and the response if there is one.
async fn perform(shop: &TestShop, order: &Value, action: Attempt) -> (Actor, Option<TestResponse>) {
    let admin = shop.admin().await;
    match action {
        Attempt::Cancel => {
            let ada = shop.customer("ada").await;
            let cancel = format!("{}/cancel", path(order));
            (Actor::Customer, Some(ada.post(&cancel, Value::Null).await))
        }
        Attempt::SetStatus(to) => (Actor::Admin, Some(set_status(&admin, order, to).await)),
        // The provider refunds before the order's status changes.
        Attempt::Refund { amount } => {
            let answer = refund(&admin, order, amount).await;
            (Actor::Provider, Some(answer))
        }
        Attempt::Pay => {
            shop.capture(order).await;
            (Actor::Provider, None)
        }
        Attempt::FailToPay => {
            let failed = crate::support::provider::event("payment.failed", order, "pay_failed");
            let body = failed.to_string();
            let answer = shop.deliver(body.as_bytes(), "ev_failed").await;
            assert_eq!(answer.status, 200);
            (Actor::Provider, None)
        }
        Attempt::Expire => {
            shop.advance_clock(Duration::from_mins(31));
            settlement::expire_due(&shop.app).await.unwrap();
            (Actor::Expiry, None)
        }
    }
}

/// Performs all attempts on a new order. Each change must be an allowed transition; a refused attempt must change
/// nothing.
async fn check_transitions(shop: TestShop, attempts: Vec<Attempt>) -> TestShop {
    let mug = shop.product("Mug", PRICE, 1).await;
    let order = shop.customer("ada").await.place_order(&mug, 1).await;
    let mut before = order.clone();
    for action in attempts {
        let (actor, answer) = perform(&shop, &order, action).await;
        let admin = shop.admin().await;
        let after = admin.get(&format!("/admin{}", path(&order))).await.json();
        let status = |order: &Value| order["status"].as_str().unwrap().parse::<Status>().unwrap();
        let (from, to) = (status(&before), status(&after));
        if from != to {
            let transition = TRANSITIONS
                .iter()
                .find(|transition| (transition.0, transition.1) == (from, to));
            let (_, _, actors) =
                transition.unwrap_or_else(|| panic!("{from:?} to {to:?}: {action:?}"));
            assert!(
                actors.contains(&actor),
                "{actor:?} moved {from:?} to {to:?}"
            );
        }
        match answer {
            Some(answer) if answer.status == 200 => assert_ne!(before, after, "{action:?}"),
            Some(answer) => {
                let refused = [
                    (409, "illegal-transition"),
                    (409, "refund-exceeds-captured"),
                ];
                let problem = (answer.status, answer.code());
                let is_refused = refused.contains(&(problem.0, problem.1.as_str()));
                let is_invalid = problem == (422, "validation-failed".to_owned());
                assert!(is_refused || is_invalid, "{action:?}: {answer:?}");
                assert_eq!(before, after, "{action:?} was refused");
            }
            None => {}
        }
        before = after;
        let is_restocked = before["status"] == "CANCELLED";
        assert_eq!(
            shop.stock(&mug).await,
            i64::from(is_restocked),
            "{action:?}"
        );
    }
    shop
}

fn check_random_attempts(engine: Engine) {
    run_scenarios(engine, attempts(), async |shop, now, attempts| {
        let shop = check_transitions(shop, attempts).await;
        shop.raw_db().assert_invariants();
        (shop, now)
    });
}

#[test]
fn orders_follow_the_transitions_on_sqlite() {
    check_random_attempts(Engine::Sqlite);
}

#[test]
fn orders_follow_the_transitions_on_postgres() {
    check_random_attempts(Engine::Postgres);
}

storage_test! {
    async fn an_unpaid_order_cannot_be_shipped(shop: TestShop) {
        let mug = shop.product("Mug", PRICE, 1).await;
        let order = shop.customer("ada").await.place_order(&mug, 1).await;
        let admin = shop.admin().await;
        for status in [Status::Shipped, Status::Delivered] {
            set_status(&admin, &order, status).await.assert_problem(409, "illegal-transition");
        }
        shop.capture(&order).await;
        set_status(&admin, &order, Status::Delivered).await.assert_problem(409, "illegal-transition");
        assert_eq!(set_status(&admin, &order, Status::Shipped).await.status, 200);
    }

    async fn refunds_never_exceed_the_payment(shop: TestShop) {
        let mug = shop.product("Mug", PRICE, 1).await;
        let order = shop.customer("ada").await.place_order(&mug, 1).await;
        let admin = shop.admin().await;
        let code = "refund-exceeds-captured";
        refund(&admin, &order, None).await.assert_problem(409, code);
        shop.capture(&order).await;
        refund(&admin, &order, Some(PRICE + 1)).await.assert_problem(409, code);
        assert_eq!(refund(&admin, &order, Some(1)).await.status, 200);
        refund(&admin, &order, Some(PRICE)).await.assert_problem(409, code);
        let refunded = refund(&admin, &order, None).await;
        assert_eq!((refunded.status, refunded.text("/status").as_str()), (200, "REFUNDED"));
        for again in [None, Some(1), Some(PRICE)] {
            refund(&admin, &order, again).await.assert_problem(409, code);
        }
    }
}
