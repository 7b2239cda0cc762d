//! Razorpay's driver against the stand-in, without a shop.

use serde_json::{Value, json};
use shop::{
    core::{clock::Clock, money::Currency, rng::Rng},
    infra::{
        config::Secret,
        ports::{Gateway, Razorpay as Driver, Refusal, Timeouts},
    },
};

use super::{driver, id, money, order, paid, refund};
use crate::support::{Mood, Razorpay};

fn ids(entities: &[Value]) -> Vec<String> {
    entities.iter().map(id).collect()
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
    let euros = Driver::open(id, &secret, host.url(), Currency::EUR, Timeouts::default());
    assert_eq!(euros.unwrap().least(), money(1));
    let (now, rng) = (Clock::system().now(), Rng::seeded(1));
    assert_eq!(driver.order_id_at_once(now, &rng), None);
    assert_eq!(driver.refund_id_at_once(&rng), None);
    assert_eq!(host.requests(), Vec::<String>::new());
}
