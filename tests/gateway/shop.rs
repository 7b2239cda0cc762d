//! A shop that uses Razorpay: while the provider is reachable, while it is not, and after lost webhooks.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use shop::domain::settlement::{Reconciled, expire_due, reconcile};

use crate::support::{
    Behavior, Client, Razorpay, TestResponse, TestShop, shopping::path, storage_test,
};

/// Longer than the maximum backoff.
const LATER: Duration = Duration::from_mins(11);

/// The behaviors without a usable response.
const UNREACHABLE: [Behavior; 6] = [
    Behavior::Down,
    Behavior::Status(503),
    Behavior::Status(429),
    Behavior::Status(401),
    Behavior::WrongEntity,
    Behavior::Redirect,
];

/// Returns a fake, and a shop that uses it.
pub(super) async fn with_razorpay(shop: &TestShop) -> (Razorpay, TestShop) {
    let host = Razorpay::start().await;
    let shop = shop.with_settings(&host.settings()).await;
    (host, shop)
}

/// Sends all queued requests.
pub(super) async fn run_queue(shop: &TestShop) {
    shop.send_due_requests().await;
}

/// Delivers a webhook about a payment or a refund.
pub(super) async fn deliver(shop: &TestShop, host: &Razorpay, event: &str, entity: &Value) {
    let webhook = host.webhook(event, entity["id"].as_str().unwrap());
    let answer = shop.deliver(webhook.body.as_bytes(), &webhook.id).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

async fn pay(customer: &Client<'_>, order: &Value) -> TestResponse {
    customer
        .post(&format!("{}/pay", path(order)), Value::Null)
        .await
}

/// Returns the provider's id of an order.
pub(super) async fn provider_order_id(customer: &Client<'_>, order: &Value) -> String {
    customer
        .get(&path(order))
        .await
        .text("/payment/providerOrderId")
}

/// Places an order that is paid at the provider. Returns it with the payment.
pub(super) async fn paid(
    host: &Razorpay,
    shop: &TestShop,
    customer: &Client<'_>,
) -> (Value, Value) {
    let kettle = shop.product("Kettle", 129_900, 9).await;
    let order = customer.place_order(&kettle, 2).await;
    run_queue(shop).await;
    let payment = host.pay(&provider_order_id(customer, &order).await);
    deliver(shop, host, "payment.captured", &payment).await;
    assert_eq!(
        statuses(customer, &order).await,
        ("PAID".to_owned(), "CAPTURED".to_owned())
    );
    (order, payment)
}

pub(super) async fn statuses(customer: &Client<'_>, order: &Value) -> (String, String) {
    let now = customer.get(&path(order)).await;
    (now.text("/status"), now.text("/payment/status"))
}

pub(super) async fn refund(admin: &Client<'_>, order: &Value, body: Value) -> TestResponse {
    let answer = admin
        .post(&format!("/admin{}/refund", path(order)), body)
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

/// Returns the status of each refund of an order, and the refunded amount.
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
        let (host, shop) = with_razorpay(&shop).await;
        let ada = shop.customer("ada").await;
        let kettle = shop.product("Kettle", 129_900, 9).await;
        let order = ada.place_order(&kettle, 2).await;
        assert_eq!(order["payment"]["provider"], "razorpay");
        assert_eq!(order["payment"]["providerOrderId"], Value::Null);
        assert_eq!(host.requests(), Vec::<String>::new(), "checkout sends nothing");
        run_queue(&shop).await;
        let [there] = &host.orders()[..] else { panic!("{:?}", host.orders()) };
        assert_eq!((&there["amount"], &there["receipt"]), (&json!(259_800), &order["id"]));
        let sent = host.requests().len();
        let checkout = pay(&ada, &order).await;
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
        assert_eq!(statuses(&ada, &order).await, ("PENDING".to_owned(), "FAILED".to_owned()));
        let payment = host.pay(order_id);
        for event in ["order.paid", "payment.captured", "order.paid", "payment.captured"] {
            deliver(&shop, &host, event, &payment).await;
        }
        assert_eq!(statuses(&ada, &order).await, ("PAID".to_owned(), "CAPTURED".to_owned()));
        run_queue(&shop).await;
        assert_eq!((host.requests().len(), host.orders().len()), (sent, 1), "nothing is left to send");
        let providers = "SELECT DISTINCT provider FROM payment_events";
        assert_eq!(shop.raw_db().rows(providers).concat(), [Some("razorpay".to_owned())]);
        shop.raw_db().assert_invariants();
    }

    async fn checkout_does_not_wait_for_the_provider(shop: TestShop) {
        let (host, shop) = with_razorpay(&shop).await;
        let ada = shop.customer("ada").await;
        let kettle = shop.product("Kettle", 129_900, 9).await;
        for behavior in UNREACHABLE {
            host.set_behavior(behavior);
            let order = ada.place_order(&kettle, 1).await;
            run_queue(&shop).await;
            let down = pay(&ada, &order).await;
            down.assert_problem(503, "unavailable");
            assert!(down.header("retry-after").is_some(), "{behavior:?}");
            assert!(!down.text("/detail").contains("razorpay:"), "{behavior:?}: {down:?}");
            assert_eq!(statuses(&ada, &order).await, ("PENDING".to_owned(), "CREATED".to_owned()));
            host.set_behavior(Behavior::Normal);
            let checkout = pay(&ada, &order).await;
            assert_eq!(checkout.status, 200, "{behavior:?}: {checkout:?}");
            assert_eq!(checkout.text("/providerOrderId"), provider_order_id(&ada, &order).await);
        }
        shop.raw_db().assert_invariants();
    }

    async fn failed_requests_are_retried_with_backoff(shop: TestShop) {
        let (host, shop) = with_razorpay(&shop).await;
        let shop = shop.with_settings(&[&host.settings()[..], &[("payment_window", "2h")]].concat()).await;
        let ada = shop.customer("ada").await;
        let kettle = shop.product("Kettle", 129_900, 9).await;
        host.set_behavior(Behavior::Status(503));
        let order = ada.place_order(&kettle, 1).await;
        let cancelled = ada.place_order(&kettle, 1).await;
        run_queue(&shop).await;
        let sent = host.requests().len();
        assert_eq!(sent, 2);
        run_queue(&shop).await;
        assert_eq!(host.requests().len(), sent, "it waits for the backoff");
        ada.post(&format!("{}/cancel", path(&cancelled)), Value::Null).await;
        host.set_behavior(Behavior::Normal);
        shop.advance_clock(LATER);
        run_queue(&shop).await;
        let ada = shop.customer("ada").await;
        let there = host.orders();
        assert_eq!(there.len(), 1, "a cancelled order is not created");
        assert_eq!(there[0]["id"], provider_order_id(&ada, &order).await);
        shop.advance_clock(LATER);
        run_queue(&shop).await;
        assert_eq!(host.orders().len(), 1);
    }

    async fn a_lost_response_creates_one_order(shop: TestShop) {
        let (host, shop) = with_razorpay(&shop).await;
        let ada = shop.customer("ada").await;
        let kettle = shop.product("Kettle", 129_900, 9).await;
        let order = ada.place_order(&kettle, 1).await;
        host.set_behavior(Behavior::DropResponse);
        pay(&ada, &order).await.assert_problem(503, "unavailable");
        host.set_behavior(Behavior::Normal);
        let checkout = pay(&ada, &order).await;
        let [there] = &host.orders()[..] else { panic!("{:?}", host.orders()) };
        assert_eq!(there["id"], checkout.text("/providerOrderId"));
    }

    async fn concurrent_creation_makes_one_order(shop: TestShop) {
        let (host, shop) = with_razorpay(&shop).await;
        let ada = shop.customer("ada").await;
        let kettle = shop.product("Kettle", 129_900, 9).await;
        let order = ada.place_order(&kettle, 1).await;
        let (one, other, ()) =
            futures_util::future::join3(pay(&ada, &order), pay(&ada, &order), run_queue(&shop)).await;
        let named = provider_order_id(&ada, &order).await;
        assert_eq!((one.text("/providerOrderId"), other.text("/providerOrderId")), (named.clone(), named));
        assert_eq!(host.orders().len(), 1);
    }

    async fn an_amount_below_the_minimum_is_refused(shop: TestShop) {
        let (host, shop) = with_razorpay(&shop).await;
        let ada = shop.customer("ada").await;
        let (pin, nail) = (shop.product("Pin", 100, 9).await, shop.product("Nail", 99, 9).await);
        ada.add_to_cart(&nail, 1).await;
        let before = shop.raw_db().dump();
        for key in [None, Some("key-1")] {
            let refused = match key {
                None => ada.checkout().await,
                Some(key) => ada.checkout_with_key(key).await,
            };
            refused.assert_problem(409, "amount-too-small");
        }
        let after = shop.raw_db().dump();
        for table in ["orders", "payments", "stock_movements", "cart_lines"] {
            assert_eq!(after[table], before[table], "{table}");
        }
        let call = ada.call(Method::DELETE, "/cart", &[], Value::Null).await;
        assert!(call.status < 300, "{call:?}");
        ada.place_order(&pin, 1).await;
        run_queue(&shop).await;
        assert_eq!(host.orders()[0]["amount"], 100);

        let (order, _) = paid(&host, &shop, &ada).await;
        let place = format!("/admin{}/refund", path(&order));
        let refused = shop.admin().await.post(&place, json!({ "amount": 99 })).await;
        refused.assert_problem(409, "amount-too-small");
    }

    async fn a_refund_is_pending_until_its_webhook(shop: TestShop) {
        let (host, shop) = with_razorpay(&shop).await;
        let (ada, admin) = (shop.customer("ada").await, shop.admin().await);
        let (order, _) = paid(&host, &shop, &ada).await;
        host.set_refund_status("pending");
        let requested = refund(&admin, &order, json!({ "amount": 59_800 })).await;
        assert_eq!(requested.text("/payment/refunds/0/status"), "PENDING");
        assert_eq!(host.refunds().len(), 0, "sent after the response to the admin");
        run_queue(&shop).await;
        assert_eq!(refunds(&ada, &order).await, (vec!["PENDING".to_owned()], 59_800));
        let [there] = &host.refunds()[..] else { panic!("{:?}", host.refunds()) };
        assert_eq!(there["receipt"], requested.json()["payment"]["refunds"][0]["id"]);
        host.finish_refund(there["id"].as_str().unwrap(), "processed");
        deliver(&shop, &host, "refund.processed", there).await;
        deliver(&shop, &host, "refund.processed", there).await;
        assert_eq!(refunds(&ada, &order).await, (vec!["PROCESSED".to_owned()], 59_800));

        refund(&admin, &order, Value::Null).await;
        run_queue(&shop).await;
        let there = &host.refunds()[1];
        assert_eq!(there["amount"], 200_000);
        host.finish_refund(there["id"].as_str().unwrap(), "failed");
        deliver(&shop, &host, "refund.failed", there).await;
        let both = ["PROCESSED", "FAILED"].map(str::to_owned).to_vec();
        assert_eq!(refunds(&ada, &order).await, (both, 59_800));
        assert_eq!(statuses(&ada, &order).await, ("PAID".to_owned(), "CAPTURED".to_owned()));

        host.set_refund_status("processed");
        refund(&admin, &order, Value::Null).await;
        run_queue(&shop).await;
        assert_eq!(statuses(&ada, &order).await, ("REFUNDED".to_owned(), "REFUNDED".to_owned()));
        assert_eq!((host.refunds().len(), refunds(&ada, &order).await.1), (3, 259_800));
        shop.raw_db().assert_invariants();
    }

    async fn a_lost_response_refunds_once(shop: TestShop) {
        let (host, shop) = with_razorpay(&shop).await;
        let (ada, admin) = (shop.customer("ada").await, shop.admin().await);
        let (order, payment) = paid(&host, &shop, &ada).await;
        refund(&admin, &order, json!({ "amount": 59_800 })).await;
        for behavior in [Behavior::Down, Behavior::Status(503), Behavior::DropResponse, Behavior::TruncateResponse, Behavior::Normal] {
            host.set_behavior(behavior);
            run_queue(&shop).await;
            shop.advance_clock(LATER);
        }
        run_queue(&shop).await;
        assert_eq!(host.refunds().len(), 1);
        let ada = shop.customer("ada").await;
        assert_eq!(refunds(&ada, &order).await, (vec!["PROCESSED".to_owned()], 59_800));
        let entity = host.payments().into_iter().find(|it| it["id"] == payment["id"]).unwrap();
        assert_eq!(entity["amount_refunded"], 59_800);
    }

    async fn a_webhook_may_arrive_before_the_response(shop: TestShop) {
        let (host, shop) = with_razorpay(&shop).await;
        let (ada, admin) = (shop.customer("ada").await, shop.admin().await);
        let (order, _) = paid(&host, &shop, &ada).await;
        refund(&admin, &order, json!({ "amount": 59_800 })).await;
        host.set_behavior(Behavior::DropResponse);
        run_queue(&shop).await;
        host.set_behavior(Behavior::Normal);
        deliver(&shop, &host, "refund.processed", &host.refunds()[0]).await;
        assert_eq!(refunds(&ada, &order).await, (vec!["PROCESSED".to_owned()], 59_800));
        let sent = host.requests().len();
        shop.advance_clock(LATER);
        run_queue(&shop).await;
        assert_eq!((host.requests().len(), host.refunds().len()), (sent, 1));
    }

    async fn a_refused_refund_does_not_count_as_refunded(shop: TestShop) {
        let (host, shop) = with_razorpay(&shop).await;
        let (ada, admin) = (shop.customer("ada").await, shop.admin().await);
        let (order, payment) = paid(&host, &shop, &ada).await;
        // Refunded in the dashboard; the webhook has not arrived yet.
        host.refund_in_dashboard(payment["id"].as_str().unwrap(), 200_000);
        refund(&admin, &order, json!({ "amount": 100_000 })).await;
        run_queue(&shop).await;
        assert_eq!(refunds(&ada, &order).await, (vec!["FAILED".to_owned()], 0));
        deliver(&shop, &host, "refund.processed", &host.refunds()[0]).await;
        let both = ["FAILED", "PROCESSED"].map(str::to_owned).to_vec();
        assert_eq!(refunds(&ada, &order).await, (both, 200_000));
        let sent = host.requests().len();
        shop.advance_clock(LATER);
        run_queue(&shop).await;
        assert_eq!(host.requests().len(), sent, "not sent again");
    }

    async fn a_late_payment_is_refunded(shop: TestShop) {
        let (host, shop) = with_razorpay(&shop).await;
        let ada = shop.customer("ada").await;
        let kettle = shop.product("Kettle", 129_900, 9).await;
        let order = ada.place_order(&kettle, 2).await;
        run_queue(&shop).await;
        let name = provider_order_id(&ada, &order).await;
        shop.advance_clock(Duration::from_mins(31));
        assert_eq!(expire_due(&shop.app).await.unwrap(), 1);
        let payment = host.pay(&name);
        deliver(&shop, &host, "payment.captured", &payment).await;
        deliver(&shop, &host, "order.paid", &payment).await;
        let ada = shop.customer("ada").await;
        assert_eq!(statuses(&ada, &order).await, ("CANCELLED".to_owned(), "CAPTURED".to_owned()));
        run_queue(&shop).await;
        assert_eq!(statuses(&ada, &order).await, ("CANCELLED".to_owned(), "REFUNDED".to_owned()));
        let [back] = &host.refunds()[..] else { panic!("{:?}", host.refunds()) };
        assert_eq!((&back["payment_id"], &back["amount"]), (&payment["id"], &json!(259_800)));
        assert_eq!(shop.stock(&kettle).await, 9);
        shop.raw_db().assert_invariants();
    }

    async fn reconciliation_finds_lost_webhooks(shop: TestShop) {
        let (host, shop) = with_razorpay(&shop).await;
        let (ada, bob, admin) =
            (shop.customer("ada").await, shop.customer("bob").await, shop.admin().await);
        let (order, payment) = paid(&host, &shop, &ada).await;
        let pan = shop.product("Pan", 50_000, 9).await;
        let [lost, failed, waiting] =
            [bob.place_order(&pan, 1).await, bob.place_order(&pan, 1).await, bob.place_order(&pan, 1).await];
        run_queue(&shop).await;
        host.pay(&provider_order_id(&bob, &lost).await);
        host.fail(&provider_order_id(&bob, &failed).await);
        host.set_refund_status("pending");
        refund(&admin, &order, json!({ "amount": 59_800 })).await;
        run_queue(&shop).await;
        host.finish_refund(host.refunds()[0]["id"].as_str().unwrap(), "processed");
        host.set_refund_status("processed");
        host.refund_in_dashboard(payment["id"].as_str().unwrap(), 100_000);

        host.set_behavior(Behavior::Down);
        let down = reconciled(&shop).await;
        assert_eq!((down.failures.len(), down.captured), (4, 0));
        host.set_behavior(Behavior::Normal);
        let found = reconciled(&shop).await;
        assert_eq!((found.compared, found.captured, found.failed), (4, 1, 1));
        assert_eq!((found.refunded, found.unmatched, found.failures.len()), (2, 0, 0));
        assert_eq!(statuses(&bob, &lost).await, ("PAID".to_owned(), "CAPTURED".to_owned()));
        assert_eq!(statuses(&bob, &failed).await, ("PENDING".to_owned(), "FAILED".to_owned()));
        assert_eq!(statuses(&bob, &waiting).await, ("PENDING".to_owned(), "CREATED".to_owned()));
        let both = ["PROCESSED", "PROCESSED"].map(str::to_owned).to_vec();
        assert_eq!(refunds(&ada, &order).await, (both, 159_800));
        let again = reconciled(&shop).await;
        assert_eq!(again, Reconciled { compared: 4, ..Reconciled::default() });
        // Late webhooks change nothing.
        for refund in host.refunds() {
            deliver(&shop, &host, "refund.processed", &refund).await;
        }
        assert_eq!(refunds(&ada, &order).await.1, 159_800);
        shop.raw_db().assert_invariants();
    }
}
