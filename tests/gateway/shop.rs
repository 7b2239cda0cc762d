//! A shop whose money Razorpay takes: what it does when the provider is there, is not, or forgets to say.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use shop::domain::orders::worker::{Reconciled, expire_due, reconcile, tell_provider};

use crate::support::{Answer, Client, Mood, Razorpay, TestShop, shopping::path, storage_test};

/// Longer than the longest pause between two tries.
const LATER: Duration = Duration::from_mins(11);

/// What it takes to try all moods in which nothing comes back.
const GONE: [Mood; 6] = [
    Mood::Down,
    Mood::Refusing(503),
    Mood::Refusing(429),
    Mood::Refusing(401),
    Mood::Lying,
    Mood::Redirecting,
];

/// A provider, and a shop that has an account there.
pub(super) async fn opened(shop: &TestShop) -> (Razorpay, TestShop) {
    let host = Razorpay::start().await;
    let shop = shop.with_settings(&host.settings()).await;
    (host, shop)
}

/// Lets the worker tell the provider what is due.
pub(super) async fn tell(shop: &TestShop) {
    tell_provider(&shop.app).await.unwrap();
}

/// Delivers what the provider says of a payment or a refund.
pub(super) async fn deliver(shop: &TestShop, host: &Razorpay, event: &str, entity: &Value) {
    let told = host.tells(event, entity["id"].as_str().unwrap());
    let answer = shop.deliver(told.body.as_bytes(), &told.id).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

async fn pays(customer: &Client<'_>, order: &Value) -> Answer {
    customer
        .post(&format!("{}/pay", path(order)), Value::Null)
        .await
}

/// The provider's name of an order.
pub(super) async fn name_of(customer: &Client<'_>, order: &Value) -> String {
    customer
        .get(&path(order))
        .await
        .text("/payment/providerOrderId")
}

/// An order that the provider knows, and its customer has paid there.
pub(super) async fn paid(
    host: &Razorpay,
    shop: &TestShop,
    customer: &Client<'_>,
) -> (Value, Value) {
    let kettle = shop.product("Kettle", 129_900, 9).await;
    let order = customer.place_order(&kettle, 2).await;
    tell(shop).await;
    let payment = host.pay(&name_of(customer, &order).await);
    deliver(shop, host, "payment.captured", &payment).await;
    assert_eq!(
        standing(customer, &order).await,
        ("PAID".to_owned(), "CAPTURED".to_owned())
    );
    (order, payment)
}

pub(super) async fn standing(customer: &Client<'_>, order: &Value) -> (String, String) {
    let now = customer.get(&path(order)).await;
    (now.text("/status"), now.text("/payment/status"))
}

pub(super) async fn refund(admin: &Client<'_>, order: &Value, body: Value) -> Answer {
    let answer = admin
        .post(&format!("/admin{}/refund", path(order)), body)
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

/// The status of each refund of an order, and what counts as gone back.
pub(super) async fn refunds(customer: &Client<'_>, order: &Value) -> (Vec<String>, i64) {
    let now = customer.get(&path(order)).await;
    let all = now.json()["payment"]["refunds"].as_array().unwrap().clone();
    let status = |it: &Value| it["status"].as_str().unwrap().to_owned();
    (
        all.iter().map(status).collect(),
        now.number("/payment/refundedAmount"),
    )
}

async fn reconciled(shop: &TestShop) -> Reconciled {
    reconcile(&shop.app, |_| ()).await.unwrap()
}

storage_test! {
    async fn a_customer_pays_at_razorpay(shop: TestShop) {
        let (host, shop) = opened(&shop).await;
        let ada = shop.customer("ada").await;
        let kettle = shop.product("Kettle", 129_900, 9).await;
        let order = ada.place_order(&kettle, 2).await;
        assert_eq!(order["payment"]["provider"], "razorpay");
        assert_eq!(order["payment"]["providerOrderId"], Value::Null);
        assert_eq!(host.requests(), Vec::<String>::new(), "a checkout asks nobody");
        tell(&shop).await;
        let [there] = &host.orders()[..] else { panic!("{:?}", host.orders()) };
        assert_eq!((&there["amount"], &there["receipt"]), (&json!(259_800), &order["id"]));
        let asked = host.requests().len();
        let checkout = pays(&ada, &order).await;
        assert_eq!(checkout.json(), json!({
            "provider": "razorpay",
            "keyId": Razorpay::KEYS.0,
            "providerOrderId": there["id"],
            "amount": 259_800,
            "currency": "INR",
        }));
        let order_id = there["id"].as_str().unwrap();
        let failed = host.fail(order_id);
        deliver(&shop, &host, "payment.failed", &failed).await;
        assert_eq!(standing(&ada, &order).await, ("PENDING".to_owned(), "FAILED".to_owned()));
        let payment = host.pay(order_id);
        for event in ["order.paid", "payment.captured", "order.paid", "payment.captured"] {
            deliver(&shop, &host, event, &payment).await;
        }
        assert_eq!(standing(&ada, &order).await, ("PAID".to_owned(), "CAPTURED".to_owned()));
        tell(&shop).await;
        assert_eq!((host.requests().len(), host.orders().len()), (asked, 1), "nothing is left to ask");
        shop.raw_db().assert_sound();
    }

    async fn a_checkout_does_not_need_the_provider(shop: TestShop) {
        let (host, shop) = opened(&shop).await;
        let ada = shop.customer("ada").await;
        let kettle = shop.product("Kettle", 129_900, 9).await;
        for mood in GONE {
            host.be(mood);
            let order = ada.place_order(&kettle, 1).await;
            tell(&shop).await;
            let down = pays(&ada, &order).await;
            down.is_problem(503, "unavailable");
            assert!(down.header("retry-after").is_some(), "{mood:?}");
            assert!(!down.text("/detail").contains("razorpay:"), "{mood:?}: {down:?}");
            assert_eq!(standing(&ada, &order).await, ("PENDING".to_owned(), "CREATED".to_owned()));
            host.be(Mood::Honest);
            let checkout = pays(&ada, &order).await;
            assert_eq!(checkout.status, 200, "{mood:?}: {checkout:?}");
            assert_eq!(checkout.text("/providerOrderId"), name_of(&ada, &order).await);
        }
        shop.raw_db().assert_sound();
    }

    async fn what_the_provider_missed_is_told_later(shop: TestShop) {
        let (host, shop) = opened(&shop).await;
        let shop = shop.with_settings(&[&host.settings()[..], &[("payment_window", "2h")]].concat()).await;
        let ada = shop.customer("ada").await;
        let kettle = shop.product("Kettle", 129_900, 9).await;
        host.be(Mood::Refusing(503));
        let order = ada.place_order(&kettle, 1).await;
        let cancelled = ada.place_order(&kettle, 1).await;
        tell(&shop).await;
        let asked = host.requests().len();
        assert_eq!(asked, 2);
        tell(&shop).await;
        assert_eq!(host.requests().len(), asked, "it is left alone for a while");
        ada.post(&format!("{}/cancel", path(&cancelled)), Value::Null).await;
        host.be(Mood::Honest);
        shop.advance_clock(LATER);
        tell(&shop).await;
        let ada = shop.customer("ada").await;
        let there = host.orders();
        assert_eq!(there.len(), 1, "nobody pays what is cancelled");
        assert_eq!(there[0]["id"], name_of(&ada, &order).await);
        shop.advance_clock(LATER);
        tell(&shop).await;
        assert_eq!(host.orders().len(), 1);
    }

    async fn an_order_whose_answer_was_lost_is_the_same_order(shop: TestShop) {
        let (host, shop) = opened(&shop).await;
        let ada = shop.customer("ada").await;
        let kettle = shop.product("Kettle", 129_900, 9).await;
        let order = ada.place_order(&kettle, 1).await;
        host.be(Mood::Losing);
        pays(&ada, &order).await.is_problem(503, "unavailable");
        host.be(Mood::Honest);
        let checkout = pays(&ada, &order).await;
        let [there] = &host.orders()[..] else { panic!("{:?}", host.orders()) };
        assert_eq!(there["id"], checkout.text("/providerOrderId"));
    }

    async fn two_who_make_an_order_at_once_agree(shop: TestShop) {
        let (host, shop) = opened(&shop).await;
        let ada = shop.customer("ada").await;
        let kettle = shop.product("Kettle", 129_900, 9).await;
        let order = ada.place_order(&kettle, 1).await;
        let (one, other, ()) =
            futures_util::future::join3(pays(&ada, &order), pays(&ada, &order), tell(&shop)).await;
        let named = name_of(&ada, &order).await;
        assert_eq!((one.text("/providerOrderId"), other.text("/providerOrderId")), (named.clone(), named));
        assert_eq!(host.orders().len(), 1);
    }

    async fn less_than_it_takes_is_refused(shop: TestShop) {
        let (host, shop) = opened(&shop).await;
        let ada = shop.customer("ada").await;
        let (pin, nail) = (shop.product("Pin", 100, 9).await, shop.product("Nail", 99, 9).await);
        ada.add_to_cart(&nail, 1).await;
        let before = shop.raw_db().dump();
        for key in [None, Some("key-1")] {
            let refused = match key {
                None => ada.checkout().await,
                Some(key) => ada.checks_out_once(key).await,
            };
            refused.is_problem(409, "amount-too-small");
        }
        let after = shop.raw_db().dump();
        for table in ["orders", "payments", "stock_movements", "cart_items"] {
            assert_eq!(after[table], before[table], "{table}");
        }
        let call = ada.call(Method::DELETE, "/cart", &[], Value::Null).await;
        assert!(call.status < 300, "{call:?}");
        ada.place_order(&pin, 1).await;
        tell(&shop).await;
        assert_eq!(host.orders()[0]["amount"], 100);

        let (order, _) = paid(&host, &shop, &ada).await;
        let place = format!("/admin{}/refund", path(&order));
        let refused = shop.admin().await.post(&place, json!({ "amount": 99 })).await;
        refused.is_problem(409, "amount-too-small");
    }

    async fn a_refund_is_on_its_way_until_the_provider_says_so(shop: TestShop) {
        let (host, shop) = opened(&shop).await;
        let (ada, admin) = (shop.customer("ada").await, shop.admin().await);
        let (order, _) = paid(&host, &shop, &ada).await;
        host.refunds_are("pending");
        let asked = refund(&admin, &order, json!({ "amount": 59_800 })).await;
        assert_eq!(asked.text("/payment/refunds/0/status"), "PENDING");
        assert_eq!(host.refunds().len(), 0, "an admin does not wait for the provider");
        tell(&shop).await;
        assert_eq!(refunds(&ada, &order).await, (vec!["PENDING".to_owned()], 59_800));
        let [there] = &host.refunds()[..] else { panic!("{:?}", host.refunds()) };
        assert_eq!(there["receipt"], asked.json()["payment"]["refunds"][0]["id"]);
        host.settle(there["id"].as_str().unwrap(), "processed");
        deliver(&shop, &host, "refund.processed", there).await;
        deliver(&shop, &host, "refund.processed", there).await;
        assert_eq!(refunds(&ada, &order).await, (vec!["PROCESSED".to_owned()], 59_800));

        refund(&admin, &order, Value::Null).await;
        tell(&shop).await;
        let there = &host.refunds()[1];
        assert_eq!(there["amount"], 200_000);
        host.settle(there["id"].as_str().unwrap(), "failed");
        deliver(&shop, &host, "refund.failed", there).await;
        let both = ["PROCESSED", "FAILED"].map(str::to_owned).to_vec();
        assert_eq!(refunds(&ada, &order).await, (both, 59_800));
        assert_eq!(standing(&ada, &order).await, ("PAID".to_owned(), "CAPTURED".to_owned()));

        host.refunds_are("processed");
        refund(&admin, &order, Value::Null).await;
        tell(&shop).await;
        assert_eq!(standing(&ada, &order).await, ("REFUNDED".to_owned(), "REFUNDED".to_owned()));
        assert_eq!((host.refunds().len(), refunds(&ada, &order).await.1), (3, 259_800));
        shop.raw_db().assert_sound();
    }

    async fn a_refund_whose_answer_was_lost_is_made_once(shop: TestShop) {
        let (host, shop) = opened(&shop).await;
        let (ada, admin) = (shop.customer("ada").await, shop.admin().await);
        let (order, payment) = paid(&host, &shop, &ada).await;
        refund(&admin, &order, json!({ "amount": 59_800 })).await;
        for mood in [Mood::Down, Mood::Refusing(503), Mood::Losing, Mood::Babbling, Mood::Honest] {
            host.be(mood);
            tell(&shop).await;
            shop.advance_clock(LATER);
        }
        tell(&shop).await;
        assert_eq!(host.refunds().len(), 1);
        let ada = shop.customer("ada").await;
        assert_eq!(refunds(&ada, &order).await, (vec!["PROCESSED".to_owned()], 59_800));
        let entity = host.payments().into_iter().find(|it| it["id"] == payment["id"]).unwrap();
        assert_eq!(entity["amount_refunded"], 59_800);
    }

    async fn a_webhook_may_tell_of_a_refund_before_its_answer(shop: TestShop) {
        let (host, shop) = opened(&shop).await;
        let (ada, admin) = (shop.customer("ada").await, shop.admin().await);
        let (order, _) = paid(&host, &shop, &ada).await;
        refund(&admin, &order, json!({ "amount": 59_800 })).await;
        host.be(Mood::Losing);
        tell(&shop).await;
        host.be(Mood::Honest);
        deliver(&shop, &host, "refund.processed", &host.refunds()[0]).await;
        assert_eq!(refunds(&ada, &order).await, (vec!["PROCESSED".to_owned()], 59_800));
        let asked = host.requests().len();
        shop.advance_clock(LATER);
        tell(&shop).await;
        assert_eq!((host.requests().len(), host.refunds().len()), (asked, 1));
    }

    async fn a_refund_that_the_provider_refuses_counts_for_nothing(shop: TestShop) {
        let (host, shop) = opened(&shop).await;
        let (ada, admin) = (shop.customer("ada").await, shop.admin().await);
        let (order, payment) = paid(&host, &shop, &ada).await;
        // By hand in the dashboard, and nobody told the shop yet.
        host.refund_elsewhere(payment["id"].as_str().unwrap(), 200_000);
        refund(&admin, &order, json!({ "amount": 100_000 })).await;
        tell(&shop).await;
        assert_eq!(refunds(&ada, &order).await, (vec!["FAILED".to_owned()], 0));
        deliver(&shop, &host, "refund.processed", &host.refunds()[0]).await;
        let both = ["FAILED", "PROCESSED"].map(str::to_owned).to_vec();
        assert_eq!(refunds(&ada, &order).await, (both, 200_000));
        let asked = host.requests().len();
        shop.advance_clock(LATER);
        tell(&shop).await;
        assert_eq!(host.requests().len(), asked, "it is not asked again");
    }

    async fn money_that_comes_too_late_goes_back(shop: TestShop) {
        let (host, shop) = opened(&shop).await;
        let ada = shop.customer("ada").await;
        let kettle = shop.product("Kettle", 129_900, 9).await;
        let order = ada.place_order(&kettle, 2).await;
        tell(&shop).await;
        let name = name_of(&ada, &order).await;
        shop.advance_clock(Duration::from_mins(31));
        assert_eq!(expire_due(&shop.app).await.unwrap(), 1);
        let payment = host.pay(&name);
        deliver(&shop, &host, "payment.captured", &payment).await;
        deliver(&shop, &host, "order.paid", &payment).await;
        let ada = shop.customer("ada").await;
        assert_eq!(standing(&ada, &order).await, ("CANCELLED".to_owned(), "CAPTURED".to_owned()));
        tell(&shop).await;
        assert_eq!(standing(&ada, &order).await, ("CANCELLED".to_owned(), "REFUNDED".to_owned()));
        let [back] = &host.refunds()[..] else { panic!("{:?}", host.refunds()) };
        assert_eq!((&back["payment_id"], &back["amount"]), (&payment["id"], &json!(259_800)));
        assert_eq!(shop.stock(&kettle).await, 9);
        shop.raw_db().assert_sound();
    }

    async fn what_no_webhook_told_is_found(shop: TestShop) {
        let (host, shop) = opened(&shop).await;
        let (ada, bob, admin) =
            (shop.customer("ada").await, shop.customer("bob").await, shop.admin().await);
        let (order, payment) = paid(&host, &shop, &ada).await;
        let pan = shop.product("Pan", 50_000, 9).await;
        let [lost, failed, waiting] =
            [bob.place_order(&pan, 1).await, bob.place_order(&pan, 1).await, bob.place_order(&pan, 1).await];
        tell(&shop).await;
        host.pay(&name_of(&bob, &lost).await);
        host.fail(&name_of(&bob, &failed).await);
        host.refunds_are("pending");
        refund(&admin, &order, json!({ "amount": 59_800 })).await;
        tell(&shop).await;
        host.settle(host.refunds()[0]["id"].as_str().unwrap(), "processed");
        host.refunds_are("processed");
        host.refund_elsewhere(payment["id"].as_str().unwrap(), 100_000);

        host.be(Mood::Down);
        let down = reconciled(&shop).await;
        assert_eq!((down.troubles.len(), down.captured), (4, 0));
        host.be(Mood::Honest);
        let found = reconciled(&shop).await;
        assert_eq!((found.compared, found.captured, found.failed), (4, 1, 1));
        assert_eq!((found.refunded, found.unmatched, found.troubles.len()), (2, 0, 0));
        assert_eq!(standing(&bob, &lost).await, ("PAID".to_owned(), "CAPTURED".to_owned()));
        assert_eq!(standing(&bob, &failed).await, ("PENDING".to_owned(), "FAILED".to_owned()));
        assert_eq!(standing(&bob, &waiting).await, ("PENDING".to_owned(), "CREATED".to_owned()));
        let both = ["PROCESSED", "PROCESSED"].map(str::to_owned).to_vec();
        assert_eq!(refunds(&ada, &order).await, (both, 159_800));
        let again = reconciled(&shop).await;
        assert_eq!(again, Reconciled { compared: 4, ..Reconciled::default() });
        // Late webhooks change nothing.
        for refund in host.refunds() {
            deliver(&shop, &host, "refund.processed", &refund).await;
        }
        assert_eq!(refunds(&ada, &order).await.1, 159_800);
        shop.raw_db().assert_sound();
    }
}
