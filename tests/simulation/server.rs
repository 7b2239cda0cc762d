//! Races on the real program, over sockets.

use bytes::Bytes;
use futures_util::future::{join, join_all};
use http::Method;
use serde_json::{Value, json};

use shop::{app::App, infra::ports::gateway::razorpay::signature};

use crate::support::{
    Remote, TestResponse,
    provider::{WEBHOOK, event},
    shopping::path,
    storage_test,
};

/// No rate limits.
const SETTINGS: [(&str, &str); 1] = [("SHOP_RATE_LIMIT", "off")];

async fn place_order(client: &Remote, product: &str) -> Value {
    let cart = client.post("/cart", &json!({ "productId": product })).await;
    assert_eq!(cart.status, 200, "{cart:?}");
    client.post("/orders", &json!({})).await.json()
}

/// Delivers an event of the provider.
async fn deliver(shop: &App, provider: &Remote, event: &Value, id: &str) -> TestResponse {
    let body = event.to_string();
    let signature = signature::sign(&shop.webhook_secrets[0], body.as_bytes());
    let headers = [
        ("x-razorpay-signature", signature.as_str()),
        ("x-razorpay-event-id", id),
    ];
    provider
        .call(Method::POST, WEBHOOK, &headers, Bytes::from(body))
        .await
        .unwrap()
}

storage_test! {
    async fn a_server_sells_ten_items_to_ten_customers(site: Site) {
        let kettle = site.product("Kettle", 129_900, 10);
        let server = site.start_with(&SETTINGS);
        let anonymous = Remote::new(&server);
        let mut customers = Vec::new();
        for number in 0..30 {
            let one = anonymous.registered(&format!("customer{number}")).await;
            let cart = one.post("/cart", &json!({ "productId": kettle })).await;
            assert_eq!(cart.status, 200, "{cart:?}");
            customers.push(one);
        }
        let nothing = json!({});
        let answers = join_all(customers.iter().map(|one| one.post("/orders", &nothing))).await;
        let sold = answers.iter().filter(|answer| answer.status == 201).count();
        assert_eq!(sold, 10);
        for refused in answers.iter().filter(|answer| answer.status != 201) {
            refused.assert_problem(409, "insufficient-stock");
        }
        let shown = anonymous.get(&format!("/products/{kettle}")).await;
        assert_eq!(shown.number("/stockQuantity"), 0);
        site.raw_db().assert_invariants();
    }

    async fn an_order_is_either_paid_or_cancelled_on_a_server(site: Site) {
        let kettle = site.product("Kettle", 129_900, 100);
        let server = site.start_with(&SETTINGS);
        let (shop, provider) = (site.open_in_process().await, Remote::new(&server));
        let ada = provider.registered("ada").await;
        let mut paid = 0;
        for round in 0..12 {
            let order = place_order(&ada, &kettle).await;
            let cancel = format!("{}/cancel", path(&order));
            let captured = event("payment.captured", &order, &format!("pay_{round}"));
            let (id, nothing) = (format!("ev_{round}"), json!({}));
            let (cancellations, delivered) = join(
                join(ada.post(&cancel, &nothing), ada.post(&cancel, &nothing)),
                deliver(&shop, &provider, &captured, &id),
            )
            .await;
            assert_eq!(delivered.status, 200);
            let cancelled = [cancellations.0, cancellations.1].iter().filter(|answer| answer.status == 200).count();
            let now = ada.get(&path(&order)).await;
            match now.text("/status").as_str() {
                "PAID" => assert_eq!((now.text("/payment/status"), cancelled), ("CAPTURED".into(), 0)),
                _ => assert_eq!((now.text("/payment/status"), cancelled), ("REFUNDED".into(), 1)),
            }
            paid += i64::from(cancelled == 0);
        }
        let shown = provider.get(&format!("/products/{kettle}")).await;
        assert_eq!(shown.number("/stockQuantity"), 100 - paid);
        site.raw_db().assert_invariants();
    }

    async fn a_server_processes_an_event_once(site: Site) {
        let kettle = site.product("Kettle", 129_900, 10);
        let server = site.start_with(&SETTINGS);
        let (shop, provider) = (site.open_in_process().await, Remote::new(&server));
        let ada = provider.registered("ada").await;
        let order = place_order(&ada, &kettle).await;
        let captured = event("payment.captured", &order, "pay_1");
        let deliveries = join_all((0..60).map(|_| deliver(&shop, &provider, &captured, "ev_1"))).await;
        assert!(deliveries.iter().all(|answer| answer.status == 200));
        let events = "SELECT count(*) FROM payment_events WHERE outcome = 'captured'";
        assert_eq!(site.raw_db().number(events), 1);
        assert_eq!(site.raw_db().number("SELECT count(*) FROM payment_events"), 1);
        assert_eq!(ada.get(&path(&order)).await.text("/payment/transactionId"), "pay_1");
    }
}
