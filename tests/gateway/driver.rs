//! Razorpay's driver against a fake server, without a shop.

use serde_json::{Value, json};
use shop::{
    core::{clock::Clock, money::Currency, rng::Rng},
    infra::{
        config::Secret,
        ports::{
            Gateway, Razorpay as Driver, Timeouts,
            gateway::{GatewayError, GatewayRefund, GatewayRefundStatus},
        },
    },
};

use super::{driver, id, money, order, paid, refund};
use crate::support::{Behavior, Razorpay};

fn ids(entities: &[Value]) -> Vec<String> {
    entities.iter().map(id).collect()
}

fn refund_ids(refunds: &[GatewayRefund]) -> Vec<String> {
    refunds.iter().map(|refund| refund.id.clone()).collect()
}

#[tokio::test]
async fn an_order_is_created_paid_and_refunded() {
    let host = Razorpay::start().await;
    let driver = driver(&host);
    let made = driver.create_order(&order(500, "7K3M-9QXD")).await.unwrap();
    let [there] = &host.orders()[..] else {
        panic!("{:?}", host.orders());
    };
    assert_eq!(id(there), made);
    assert_eq!(there["amount"], 500);
    assert_eq!(there["currency"], "INR");
    assert_eq!(there["receipt"], "7K3M-9QXD");
    assert_eq!(driver.list_payments(&made).await.unwrap(), []);

    let failed = host.fail(&made);
    let payment = host.pay(&made);
    let seen = driver.list_payments(&made).await.unwrap();
    let seen: Vec<Value> = seen.into_iter().map(|payment| payment.raw).collect();
    assert_eq!(seen, [payment.clone(), failed], "as it shows them");
    assert_eq!(driver.list_refunds(&id(&payment)).await.unwrap(), []);

    let first = driver
        .create_refund(&refund(&payment, 200, "refund-00001"))
        .await
        .unwrap();
    assert_eq!(first.status, GatewayRefundStatus::Processed);
    host.set_refund_status("pending");
    let second = driver
        .create_refund(&refund(&payment, 200, "refund-00002"))
        .await
        .unwrap();
    assert_eq!(second.status, GatewayRefundStatus::Pending);
    host.set_refund_status("failed");
    let third = driver
        .create_refund(&refund(&payment, 100, "refund-00003"))
        .await
        .unwrap();
    assert_eq!(third.status, GatewayRefundStatus::Failed);
    let seen = driver.list_refunds(&id(&payment)).await.unwrap();
    assert_eq!(refund_ids(&seen), [third.id, second.id, first.id.clone()]);
    assert_eq!(
        seen[2].raw["receipt"], "refund-00001",
        "by which it can be found"
    );

    // The same key returns the same refund, whatever its status.
    let again = driver
        .create_refund(&refund(&payment, 200, "refund-00001"))
        .await
        .unwrap();
    assert_eq!((again.id, host.refunds().len()), (first.id, 3));
}

#[tokio::test]
async fn refunds_are_listed_across_pages() {
    let (host, driver, _) = paid().await;
    let order_id = driver.create_order(&order(50_000, "large")).await.unwrap();
    let payment = id(&host.pay(&order_id));
    for count in [100, 101, 250] {
        while host.refunds().len() < count {
            host.refund_in_dashboard(&payment, 100);
        }
        let seen = driver.list_refunds(&payment).await.unwrap();
        let mut expected = ids(&host.refunds());
        expected.reverse();
        assert_eq!(refund_ids(&seen), expected);
    }
}

#[tokio::test]
async fn a_lost_response_creates_nothing_twice() {
    let (host, driver, payment) = paid().await;
    for behavior in [Behavior::DropResponse, Behavior::TruncateResponse] {
        let (receipt, key) = (format!("{behavior:?}"), format!("refund-{behavior:?}"));
        host.set_behavior(behavior);
        let lost = driver
            .create_order(&order(700, &receipt))
            .await
            .unwrap_err();
        assert!(!lost.is_permanent(), "{lost:?}");
        let lost = driver
            .create_refund(&refund(&payment, 100, &key))
            .await
            .unwrap_err();
        assert!(!lost.is_permanent(), "{lost:?}");
        host.set_behavior(Behavior::Normal);
        let (orders, refunds) = (host.orders(), host.refunds());
        let made = driver.create_order(&order(700, &receipt)).await.unwrap();
        assert_eq!(made, id(orders.last().unwrap()));
        let made = driver
            .create_refund(&refund(&payment, 100, &key))
            .await
            .unwrap();
        assert_eq!(made.id, id(refunds.last().unwrap()));
        assert_eq!((host.orders(), host.refunds()), (orders, refunds));
    }
    // A receipt of an order with another amount is not reused.
    let other = driver
        .create_order(&order(701, "DropResponse"))
        .await
        .unwrap_err();
    assert_eq!(
        other,
        GatewayError::Permanent("razorpay: 400: Order receipt should be unique.".to_owned())
    );
}

#[tokio::test]
async fn a_response_that_does_not_match_is_rejected() {
    let (host, driver, payment) = paid().await;
    host.refund_in_dashboard(&id(&payment), 100);
    for behavior in [Behavior::WrongEntity, Behavior::WrongId] {
        host.set_behavior(behavior);
        let made = driver
            .create_order(&order(500, &format!("{behavior:?}")))
            .await
            .unwrap_err();
        assert!(!made.is_permanent(), "{made:?}");
        let key = format!("refund-{behavior:?}");
        let made = driver
            .create_refund(&refund(&payment, 100, &key))
            .await
            .unwrap_err();
        assert!(!made.is_permanent(), "{made:?}");
    }
    host.set_behavior(Behavior::WrongEntity);
    let order_id = payment["order_id"].as_str().unwrap();
    assert!(
        !driver
            .list_payments(order_id)
            .await
            .unwrap_err()
            .is_permanent()
    );
    assert!(
        !driver
            .list_refunds(&id(&payment))
            .await
            .unwrap_err()
            .is_permanent()
    );
}

#[tokio::test]
async fn a_malformed_id_is_not_sent() {
    let (host, driver, payment) = paid().await;
    let sent = host.requests();
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
        for error in [
            driver.create_refund(&refund).await.unwrap_err(),
            driver.list_refunds(bad).await.unwrap_err(),
            driver
                .list_payments(&bad.replace("pay_", "order_"))
                .await
                .unwrap_err(),
        ] {
            assert!(error.is_permanent(), "{bad}: {error:?}");
            assert!(!error.reason().contains(['\r', '\n']), "{error:?}");
        }
    }
    assert_eq!(host.requests(), sent, "nothing was sent");
}

#[tokio::test]
async fn the_fake_sends_webhooks_in_razorpays_format() {
    let (host, driver, payment) = paid().await;
    let parse = |body: &str| serde_json::from_str::<Value>(body).unwrap();
    let captured = host.webhook("payment.captured", &id(&payment));
    let again = host.webhook("payment.captured", &id(&payment));
    assert_ne!(captured.id, again.id);
    assert_ne!(captured.body, again.body, "with its keys in another order");
    assert_eq!(
        parse(&captured.body)["payload"],
        parse(&again.body)["payload"]
    );
    let paid = parse(&host.webhook("order.paid", &id(&payment)).body);
    let [entity, order] = ["payment", "order"].map(|of| &paid["payload"][of]["entity"]);
    assert_eq!(
        (&entity["notes"], &order["status"]),
        (&json!([]), &json!("paid"))
    );

    host.set_refund_status("pending");
    let made = driver
        .create_refund(&refund(&payment, 500, "refund-00001"))
        .await
        .unwrap();
    for (status, back) in [("processed", 500), ("failed", 0)] {
        host.finish_refund(&made.id, status);
        let webhook = parse(&host.webhook(&format!("refund.{status}"), &made.id).body);
        let [refund, payment] = ["refund", "payment"].map(|of| &webhook["payload"][of]["entity"]);
        assert_eq!(
            (&refund["id"], &refund["status"]),
            (&json!(made.id), &json!(status))
        );
        assert_eq!(payment["amount_refunded"], back);
    }
}

#[tokio::test]
async fn the_driver_has_razorpays_name_key_and_minimum() {
    let host = Razorpay::start().await;
    let (id, secret) = Razorpay::KEYS;
    let driver = driver(&host);
    assert_eq!((driver.name(), driver.key_id()), ("razorpay", id));
    assert_eq!(driver.min_amount(), money(100));
    let secret = Secret::from(secret);
    let euros = Driver::open(id, &secret, host.url(), Currency::EUR, Timeouts::default());
    assert_eq!(euros.unwrap().min_amount(), money(1));
    let (now, rng) = (Clock::system().now(), Rng::seeded(1));
    assert_eq!(driver.offline_order_id(now, &rng), None);
    assert_eq!(driver.offline_refund_id(&rng), None);
    assert_eq!(host.requests(), Vec::<String>::new());
}
