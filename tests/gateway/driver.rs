//! Razorpay's driver against the stand-in, without a shop.

use std::{net::TcpListener, time::Duration};

use serde_json::{Value, json};
use shop::{
    clock::{Chance, Clock},
    config::Secret,
    money::{Currency, Money},
    ports::{
        Gateway, Patience, Razorpay as Driver, Refusal,
        gateway::{OrderToMake, RefundToMake},
    },
};

use crate::support::{Mood, Razorpay};

fn money(paise: i64) -> Money {
    Money::try_from(paise).unwrap()
}

/// The driver at that address, which does not wait long.
fn driver_at(url: &str, key_secret: &str, key_id: &str) -> Driver {
    let patience = Patience {
        connecting: Duration::from_millis(500),
        whole: Duration::from_millis(500),
    };
    let secret = Secret(key_secret.to_owned());
    Driver::open(key_id, &secret, url, Currency::INR, patience).unwrap()
}

fn driver(host: &Razorpay) -> Driver {
    let (id, secret) = Razorpay::KEYS;
    driver_at(host.url(), secret, id)
}

fn order(paise: i64, receipt: &str) -> OrderToMake {
    OrderToMake {
        amount: money(paise),
        currency: "INR",
        receipt: receipt.to_owned(),
    }
}

fn refund(payment: &Value, paise: i64, key: &str) -> RefundToMake {
    RefundToMake {
        payment_id: id(payment),
        amount: money(paise),
        key: key.to_owned(),
    }
}

fn id(entity: &Value) -> String {
    entity["id"].as_str().unwrap().to_owned()
}

fn ids(entities: &[Value]) -> Vec<String> {
    entities.iter().map(id).collect()
}

/// All that the port can be asked for, on a payment of the books.
async fn refusals(driver: &Driver, payment: &Value) -> Vec<Refusal> {
    let order_id = payment["order_id"].as_str().unwrap();
    vec![
        driver.make_order(&order(500, "another")).await.unwrap_err(),
        driver
            .refund(&refund(payment, 100, "refund-00001"))
            .await
            .unwrap_err(),
        driver.payments(order_id).await.unwrap_err(),
        driver.refunds(&id(payment)).await.unwrap_err(),
    ]
}

/// A host with one paid order of 500; gives the payment.
async fn paid() -> (Razorpay, Driver, Value) {
    let host = Razorpay::start().await;
    let driver = driver(&host);
    let made = driver.make_order(&order(500, "7K3M-9QXD")).await.unwrap();
    let payment = host.pay(&made);
    (host, driver, payment)
}

#[tokio::test]
async fn an_order_is_made_paid_and_refunded() {
    let host = Razorpay::start().await;
    let driver = driver(&host);
    let made = driver.make_order(&order(500, "7K3M-9QXD")).await.unwrap();
    let [there] = &host.orders()[..] else {
        panic!("{:?}", host.orders());
    };
    assert_eq!(id(there), made);
    assert_eq!(there["amount"], 500);
    assert_eq!(there["currency"], "INR");
    assert_eq!(there["receipt"], "7K3M-9QXD");
    assert_eq!(driver.payments(&made).await.unwrap(), Vec::<Value>::new());

    let failed = host.fail(&made);
    let payment = host.pay(&made);
    let seen = driver.payments(&made).await.unwrap();
    assert_eq!(seen, [payment.clone(), failed], "as it shows them");
    assert_eq!(
        driver.refunds(&id(&payment)).await.unwrap(),
        Vec::<Value>::new()
    );

    let first = driver
        .refund(&refund(&payment, 200, "refund-00001"))
        .await
        .unwrap();
    assert_eq!(first.succeeded, Some(true));
    host.refunds_are("pending");
    let second = driver
        .refund(&refund(&payment, 200, "refund-00002"))
        .await
        .unwrap();
    assert_eq!(second.succeeded, None);
    host.refunds_are("failed");
    let third = driver
        .refund(&refund(&payment, 100, "refund-00003"))
        .await
        .unwrap();
    assert_eq!(third.succeeded, Some(false));
    let seen = driver.refunds(&id(&payment)).await.unwrap();
    assert_eq!(ids(&seen), [third.id, second.id, first.id.clone()]);
    assert_eq!(
        seen[2]["receipt"], "refund-00001",
        "by which it can be found"
    );

    // The same key is the same refund, whatever became of it.
    let again = driver
        .refund(&refund(&payment, 200, "refund-00001"))
        .await
        .unwrap();
    assert_eq!((again.id, host.refunds().len()), (first.id, 3));
}

#[tokio::test]
async fn more_refunds_than_it_shows_at_once_are_all_seen() {
    let (host, driver, _) = paid().await;
    let order_id = driver.make_order(&order(50_000, "large")).await.unwrap();
    let payment = id(&host.pay(&order_id));
    for count in [100, 101, 250] {
        while host.refunds().len() < count {
            host.refund_elsewhere(&payment, 100);
        }
        let seen = driver.refunds(&payment).await.unwrap();
        let mut wanted = ids(&host.refunds());
        wanted.reverse();
        assert_eq!(ids(&seen), wanted);
    }
}

#[tokio::test]
async fn what_it_will_never_do_is_final_and_says_why() {
    let (host, driver, payment) = paid().await;
    let refused = driver.make_order(&order(99, "small")).await.unwrap_err();
    let why = "razorpay: 400: Order amount less than minimum amount allowed";
    assert_eq!(refused, Refusal::lasting(why));
    let long = driver
        .make_order(&order(500, &"x".repeat(41)))
        .await
        .unwrap_err();
    assert!(long.is_final, "{long:?}");

    let much = driver
        .refund(&refund(&payment, 501, "refund-00001"))
        .await
        .unwrap_err();
    let why = "razorpay: 400: The total refund amount is greater than the refund payment amount";
    assert_eq!(much, Refusal::lasting(why));
    let small = driver
        .refund(&refund(&payment, 99, "refund-00003"))
        .await
        .unwrap_err();
    let why = "razorpay: 400: The amount must be at least INR 1.00";
    assert_eq!(small, Refusal::lasting(why));
    driver
        .refund(&refund(&payment, 100, "refund-00002"))
        .await
        .unwrap();
    let other = driver
        .refund(&refund(&payment, 101, "refund-00002"))
        .await
        .unwrap_err();
    assert!(
        other.is_final && other.why.contains("same idempotency key"),
        "{other:?}"
    );
    let short = driver
        .refund(&refund(&payment, 100, "short"))
        .await
        .unwrap_err();
    assert!(short.is_final, "{short:?}");
    for unknown in [
        driver.payments("order_unknown").await.unwrap_err(),
        driver.refunds("pay_unknown").await.unwrap_err(),
    ] {
        assert_eq!(
            unknown,
            Refusal::lasting("razorpay: 400: The id provided does not exist")
        );
    }
    assert_eq!(host.refunds().len(), 1);
}

#[tokio::test]
async fn what_may_pass_is_not_final_and_changes_nothing() {
    let (host, driver, payment) = paid().await;
    for (mood, words) in [
        (Mood::Refusing(401), "401: Not todaynor tomorrow"),
        (Mood::Refusing(403), "403"),
        (Mood::Refusing(409), "409"),
        (Mood::Refusing(429), "429"),
        (Mood::Refusing(500), "500"),
        (Mood::Refusing(503), "503"),
        (Mood::Behind(404), "404: it does not say why"),
        (Mood::Behind(502), "502"),
        (Mood::Behind(200), "makes no sense"),
        (Mood::Redirecting, "307"),
        (Mood::Down, "cannot be reached"),
        (Mood::Silent, "in time"),
    ] {
        host.be(mood);
        let asked = host.requests().len();
        for refusal in refusals(&driver, &payment).await {
            assert!(!refusal.is_final, "{mood:?}: {refusal:?}");
            assert!(
                refusal.why.starts_with("razorpay: "),
                "{mood:?}: {refusal:?}"
            );
            assert!(refusal.why.contains(words), "{mood:?}: {refusal:?}");
        }
        assert_eq!(host.requests().len(), asked + 4, "{mood:?}: it asks once");
    }
    assert_eq!((host.orders().len(), host.refunds().len()), (1, 0));
    for status in [400, 404, 422] {
        host.be(Mood::Refusing(status));
        for refusal in refusals(&driver, &payment).await {
            assert!(refusal.is_final, "{status}: {refusal:?}");
        }
    }
}

#[tokio::test]
async fn nobody_there_may_pass() {
    let (_, _, payment) = paid().await;
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let (id, secret) = Razorpay::KEYS;
    let driver = driver_at(&format!("http://{free}"), secret, id);
    for refusal in refusals(&driver, &payment).await {
        assert!(
            !refusal.is_final && refusal.why.contains("refused"),
            "{refusal:?}"
        );
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_makes_nothing_twice() {
    let (host, driver, payment) = paid().await;
    for mood in [Mood::Losing, Mood::Babbling] {
        let (receipt, key) = (format!("{mood:?}"), format!("refund-{mood:?}"));
        host.be(mood);
        let lost = driver.make_order(&order(700, &receipt)).await.unwrap_err();
        assert!(!lost.is_final, "{lost:?}");
        let lost = driver
            .refund(&refund(&payment, 100, &key))
            .await
            .unwrap_err();
        assert!(!lost.is_final, "{lost:?}");
        host.be(Mood::Honest);
        let (orders, refunds) = (host.orders(), host.refunds());
        let made = driver.make_order(&order(700, &receipt)).await.unwrap();
        assert_eq!(made, id(orders.last().unwrap()));
        let made = driver.refund(&refund(&payment, 100, &key)).await.unwrap();
        assert_eq!(made.id, id(refunds.last().unwrap()));
        assert_eq!((host.orders(), host.refunds()), (orders, refunds));
    }
    // A receipt that was given to something else is no order of ours.
    let other = driver.make_order(&order(701, "Losing")).await.unwrap_err();
    assert_eq!(
        other,
        Refusal::lasting("razorpay: 400: Order receipt should be unique.")
    );
}

#[tokio::test]
async fn an_answer_about_something_else_is_not_believed() {
    let (host, driver, payment) = paid().await;
    host.refund_elsewhere(&id(&payment), 100);
    for mood in [Mood::Lying, Mood::Misnaming] {
        host.be(mood);
        let made = driver
            .make_order(&order(500, &format!("{mood:?}")))
            .await
            .unwrap_err();
        assert!(!made.is_final, "{made:?}");
        let key = format!("refund-{mood:?}");
        let made = driver
            .refund(&refund(&payment, 100, &key))
            .await
            .unwrap_err();
        assert!(!made.is_final, "{made:?}");
    }
    host.be(Mood::Lying);
    let order_id = payment["order_id"].as_str().unwrap();
    assert!(!driver.payments(order_id).await.unwrap_err().is_final);
    assert!(!driver.refunds(&id(&payment)).await.unwrap_err().is_final);
}

#[tokio::test]
async fn an_id_cannot_lead_elsewhere() {
    let (host, driver, payment) = paid().await;
    let asked = host.requests();
    for bad in [
        "",
        "..",
        "pay_",
        "order_",
        "rfnd_1",
        "pay_/../../orders",
        "pay_%2e%2e%2forders",
        "pay_1?x=1",
        "pay_1#x",
        "pay_1\\x",
        "pay_1 2",
        "pay_ü",
        "pay_1\r\nx-evil: 1",
        &format!("pay_{}", "x".repeat(61)),
    ] {
        let mut refund = refund(&payment, 100, "refund-00001");
        bad.clone_into(&mut refund.payment_id);
        for refusal in [
            driver.refund(&refund).await.unwrap_err(),
            driver.refunds(bad).await.unwrap_err(),
            driver
                .payments(&bad.replace("pay_", "order_"))
                .await
                .unwrap_err(),
        ] {
            assert!(refusal.is_final, "{bad}: {refusal:?}");
            assert!(!refusal.why.contains(['\r', '\n']), "{refusal:?}");
        }
    }
    assert_eq!(host.requests(), asked, "nothing was sent");
}

#[tokio::test]
async fn a_secret_is_in_no_error() {
    let (host, _, payment) = paid().await;
    let (id, right) = Razorpay::KEYS;
    let wrong = "this-is-a-wrong-secret";
    let told = |driver: &Driver, refusals: Vec<Refusal>| format!("{driver:?} {refusals:?}");
    let driver = driver_at(host.url(), wrong, id);
    let refusals = self::refusals(&driver, &payment).await;
    for refusal in &refusals {
        assert_eq!(
            *refusal,
            Refusal::passing("razorpay: 401: Authentication failed")
        );
    }
    let mut all = told(&driver, refusals);
    for mood in [
        Mood::Silent,
        Mood::Down,
        Mood::Redirecting,
        Mood::Refusing(400),
    ] {
        host.be(mood);
        let driver = self::driver(&host);
        all += &told(&driver, self::refusals(&driver, &payment).await);
    }
    for secret in [right, wrong] {
        let encoded = base64::Engine::encode(
            &base64::engine::general_purpose::STANDARD,
            format!("{id}:{secret}"),
        );
        assert!(!all.contains(secret) && !all.contains(&encoded), "{all}");
    }
    let line_break = Secret("two\nlines".to_owned());
    let url = host.url();
    let patience = Patience::default();
    let error = Driver::open(id, &line_break, url, Currency::INR, patience).unwrap_err();
    assert!(error.detail().contains("razorpay_key_secret"), "{error:?}");
    assert!(!format!("{error:?}").contains("lines"), "{error:?}");
}

#[tokio::test]
async fn the_stand_in_tells_as_razorpay_does() {
    let (host, driver, payment) = paid().await;
    let read = |told: &str| serde_json::from_str::<Value>(told).unwrap();
    let captured = host.tells("payment.captured", &id(&payment));
    let again = host.tells("payment.captured", &id(&payment));
    assert_ne!(captured.id, again.id);
    assert_ne!(captured.body, again.body, "in another order of keys");
    assert_eq!(
        read(&captured.body)["payload"],
        read(&again.body)["payload"]
    );
    let paid = read(&host.tells("order.paid", &id(&payment)).body);
    let [entity, order] = ["payment", "order"].map(|of| &paid["payload"][of]["entity"]);
    assert_eq!(
        (&entity["notes"], &order["status"]),
        (&json!([]), &json!("paid"))
    );

    host.refunds_are("pending");
    let made = driver
        .refund(&refund(&payment, 500, "refund-00001"))
        .await
        .unwrap();
    for (status, back) in [("processed", 500), ("failed", 0)] {
        host.settle(&made.id, status);
        let told = read(&host.tells(&format!("refund.{status}"), &made.id).body);
        let [refund, payment] = ["refund", "payment"].map(|of| &told["payload"][of]["entity"]);
        assert_eq!(
            (&refund["id"], &refund["status"]),
            (&json!(made.id), &json!(status))
        );
        assert_eq!(payment["amount_refunded"], back);
    }
}

#[tokio::test]
async fn it_says_what_the_shop_needs_to_know() {
    let host = Razorpay::start().await;
    let (id, secret) = Razorpay::KEYS;
    let driver = driver(&host);
    assert_eq!((driver.name(), driver.key_id()), ("razorpay", id));
    assert_eq!(driver.least(), money(100));
    let secret = Secret(secret.to_owned());
    let euros = Driver::open(id, &secret, host.url(), Currency::EUR, Patience::default());
    assert_eq!(euros.unwrap().least(), money(1));
    let (now, chance) = (Clock::system().now(), Chance::seeded(1));
    assert_eq!(driver.order_id_at_once(now, &chance), None);
    assert_eq!(driver.refund_id_at_once(&chance), None);
    assert_eq!(host.requests(), Vec::<String>::new());
}
