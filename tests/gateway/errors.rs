//! How the driver classifies errors as transient or permanent, and what it reports.

use std::net::TcpListener;

use serde_json::Value;
use shop::{
    core::money::Currency,
    infra::{
        config::Secret,
        ports::{Gateway, Razorpay as Driver, Timeouts, gateway::GatewayError},
    },
};

use super::{driver, driver_at, id, order, paid, refund};
use crate::support::{Behavior, Razorpay};

/// Calls every method of the port, on a payment of the fake.
async fn errors(driver: &Driver, payment: &Value) -> Vec<GatewayError> {
    let order_id = payment["order_id"].as_str().unwrap();
    vec![
        driver
            .create_order(&order(500, "another"))
            .await
            .unwrap_err(),
        driver
            .create_refund(&refund(payment, 100, "refund-00001"))
            .await
            .unwrap_err(),
        driver.list_payments(order_id).await.unwrap_err(),
        driver.list_refunds(&id(payment)).await.unwrap_err(),
    ]
}

#[tokio::test]
async fn a_permanent_error_states_the_reason() {
    let (host, driver, payment) = paid().await;
    let refused = driver.create_order(&order(99, "small")).await.unwrap_err();
    let why = "razorpay: 400: Order amount less than minimum amount allowed";
    assert_eq!(refused, GatewayError::Permanent(why.to_owned()));
    let long = driver
        .create_order(&order(500, &"x".repeat(41)))
        .await
        .unwrap_err();
    assert!(long.is_permanent(), "{long:?}");

    let much = driver
        .create_refund(&refund(&payment, 501, "refund-00001"))
        .await
        .unwrap_err();
    let why = "razorpay: 400: The total refund amount is greater than the refund payment amount";
    assert_eq!(much, GatewayError::Permanent(why.to_owned()));
    let small = driver
        .create_refund(&refund(&payment, 99, "refund-00003"))
        .await
        .unwrap_err();
    let why = "razorpay: 400: The amount must be at least INR 1.00";
    assert_eq!(small, GatewayError::Permanent(why.to_owned()));
    driver
        .create_refund(&refund(&payment, 100, "refund-00002"))
        .await
        .unwrap();
    let other = driver
        .create_refund(&refund(&payment, 101, "refund-00002"))
        .await
        .unwrap_err();
    assert!(
        other.is_permanent() && other.reason().contains("same idempotency key"),
        "{other:?}"
    );
    let short = driver
        .create_refund(&refund(&payment, 100, "short"))
        .await
        .unwrap_err();
    assert!(short.is_permanent(), "{short:?}");
    for unknown in [
        driver.list_payments("order_unknown").await.unwrap_err(),
        driver.list_refunds("pay_unknown").await.unwrap_err(),
    ] {
        assert_eq!(
            unknown,
            GatewayError::Permanent("razorpay: 400: The id provided does not exist".to_owned())
        );
    }
    assert_eq!(host.refunds().len(), 1);
}

#[tokio::test]
async fn a_transient_error_changes_nothing() {
    let (host, driver, payment) = paid().await;
    for (behavior, words) in [
        (Behavior::Status(401), "401: Not todaynor tomorrow"),
        (Behavior::Status(403), "403"),
        (Behavior::Status(409), "409"),
        (Behavior::Status(429), "429"),
        (Behavior::Status(500), "500"),
        (Behavior::Status(503), "503"),
        (Behavior::ProxyPage(404), "404: no reason given"),
        (Behavior::ProxyPage(502), "502"),
        (Behavior::ProxyPage(200), "cannot parse its response"),
        (Behavior::Redirect, "307"),
        (Behavior::Down, "cannot be reached"),
        (Behavior::Silent, "in time"),
    ] {
        host.set_behavior(behavior);
        let sent = host.requests().len();
        for error in errors(&driver, &payment).await {
            assert!(!error.is_permanent(), "{behavior:?}: {error:?}");
            assert!(
                error.reason().starts_with("razorpay: "),
                "{behavior:?}: {error:?}"
            );
            assert!(error.reason().contains(words), "{behavior:?}: {error:?}");
        }
        assert_eq!(host.requests().len(), sent + 4, "{behavior:?}: sent once");
    }
    assert_eq!((host.orders().len(), host.refunds().len()), (1, 0));
    for status in [400, 404, 422] {
        host.set_behavior(Behavior::Status(status));
        for error in errors(&driver, &payment).await {
            assert!(error.is_permanent(), "{status}: {error:?}");
        }
    }
}

#[tokio::test]
async fn an_unreachable_host_is_a_transient_error() {
    let (_, _, payment) = paid().await;
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let (id, secret) = Razorpay::KEYS;
    let driver = driver_at(&format!("http://{free}"), secret, id);
    for error in errors(&driver, &payment).await {
        assert!(
            !error.is_permanent() && error.reason().contains("refused"),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn errors_contain_no_secret() {
    let (host, _, payment) = paid().await;
    let (id, right) = Razorpay::KEYS;
    let wrong = "this-is-a-wrong-secret";
    let debug = |driver: &Driver, errors: Vec<GatewayError>| format!("{driver:?} {errors:?}");
    let driver = driver_at(host.url(), wrong, id);
    let errors = self::errors(&driver, &payment).await;
    for error in &errors {
        assert_eq!(
            *error,
            GatewayError::Transient("razorpay: 401: Authentication failed".to_owned())
        );
    }
    let mut all = debug(&driver, errors);
    for behavior in [
        Behavior::Silent,
        Behavior::Down,
        Behavior::Redirect,
        Behavior::Status(400),
    ] {
        host.set_behavior(behavior);
        let driver = self::driver(&host);
        all += &debug(&driver, self::errors(&driver, &payment).await);
    }
    for secret in [right, wrong] {
        let encoded = base64::Engine::encode(
            &base64::engine::general_purpose::STANDARD,
            format!("{id}:{secret}"),
        );
        assert!(!all.contains(secret) && !all.contains(&encoded), "{all}");
    }
    let line_break = Secret::from("two\nlines");
    let url = host.url();
    let timeouts = Timeouts::default();
    let error = Driver::open(id, &line_break, url, Currency::INR, timeouts).unwrap_err();
    assert!(error.detail().contains("razorpay_key_secret"), "{error:?}");
    assert!(!format!("{error:?}").contains("lines"), "{error:?}");
}
