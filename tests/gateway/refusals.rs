//! What the driver makes of refusals: which of them may pass, and what an operator is told.

use std::net::TcpListener;

use serde_json::Value;
use shop::{
    core::money::Currency,
    infra::{
        config::Secret,
        ports::{Gateway, Razorpay as Driver, Refusal, Timeouts},
    },
};

use super::{driver, driver_at, id, order, paid, refund};
use crate::support::{Mood, Razorpay};

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
        (Mood::RawDb(404), "404: it does not say why"),
        (Mood::RawDb(502), "502"),
        (Mood::RawDb(200), "makes no sense"),
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
    let patience = Timeouts::default();
    let error = Driver::open(id, &line_break, url, Currency::INR, patience).unwrap_err();
    assert!(error.detail().contains("razorpay_key_secret"), "{error:?}");
    assert!(!format!("{error:?}").contains("lines"), "{error:?}");
}
