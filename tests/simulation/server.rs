//! The same as in process, on the real program with threads of its own and across real sockets.

use bytes::Bytes;
use futures_util::future::{join, join_all};
use http::Method;
use serde_json::{Value, json};

use shop::{app::App, domain::payments::signature};

use crate::support::{
    Answer, Remote,
    provider::{WEBHOOK, event},
    shopping::path,
    storage_test,
};

const BOLD: [(&str, &str); 1] = [("SHOP_RATE_LIMIT", "off")];

async fn place_order(one: &Remote, product: &str) -> Value {
    let cart = one.post("/cart", &json!({ "productId": product })).await;
    assert_eq!(cart.status, 200, "{cart:?}");
    one.post("/orders", &json!({})).await.json()
}

async fn tells(shop: &App, provider: &Remote, event: &Value, id: &str) -> Answer {
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
    async fn a_real_server_sells_ten_pieces_to_ten(site: Site) {
        let kettle = site.product("Kettle", 129_900, 10);
        let server = site.start_with(&BOLD);
        let visitor = Remote::new(&server);
        let mut customers = Vec::new();
        for number in 0..30 {
            let one = visitor.registered(&format!("customer{number}")).await;
            let cart = one.post("/cart", &json!({ "productId": kettle })).await;
            assert_eq!(cart.status, 200, "{cart:?}");
            customers.push(one);
        }
        let nothing = json!({});
        let answers = join_all(customers.iter().map(|one| one.post("/orders", &nothing))).await;
        let sold = answers.iter().filter(|answer| answer.status == 201).count();
        assert_eq!(sold, 10);
        for refused in answers.iter().filter(|answer| answer.status != 201) {
            refused.is_problem(409, "insufficient-stock");
        }
        let seen = visitor.get(&format!("/products/{kettle}")).await;
        assert_eq!(seen.number("/stockQuantity"), 0);
        site.raw_db().assert_sound();
    }

    async fn a_real_server_pays_or_cancels(site: Site) {
        let kettle = site.product("Kettle", 129_900, 100);
        let server = site.start_with(&BOLD);
        let (shop, provider) = (site.beside_itself().await, Remote::new(&server));
        let ada = provider.registered("ada").await;
        let mut paid = 0;
        for round in 0..12 {
            let order = place_order(&ada, &kettle).await;
            let cancel = format!("{}/cancel", path(&order));
            let captured = event("payment.captured", &order, &format!("pay_{round}"));
            let (id, nothing) = (format!("ev_{round}"), json!({}));
            let (cancels, told) = join(
                join(ada.post(&cancel, &nothing), ada.post(&cancel, &nothing)),
                tells(&shop, &provider, &captured, &id),
            )
            .await;
            assert_eq!(told.status, 200);
            let cancelled = [cancels.0, cancels.1].iter().filter(|it| it.status == 200).count();
            let now = ada.get(&path(&order)).await;
            match now.text("/status").as_str() {
                "PAID" => assert_eq!((now.text("/payment/status"), cancelled), ("CAPTURED".into(), 0)),
                _ => assert_eq!((now.text("/payment/status"), cancelled), ("REFUNDED".into(), 1)),
            }
            paid += i64::from(cancelled == 0);
        }
        let seen = provider.get(&format!("/products/{kettle}")).await;
        assert_eq!(seen.number("/stockQuantity"), 100 - paid);
        site.raw_db().assert_sound();
    }

    async fn a_real_server_takes_one_event_once(site: Site) {
        let kettle = site.product("Kettle", 129_900, 10);
        let server = site.start_with(&BOLD);
        let (shop, provider) = (site.beside_itself().await, Remote::new(&server));
        let ada = provider.registered("ada").await;
        let order = place_order(&ada, &kettle).await;
        let captured = event("payment.captured", &order, "pay_1");
        let told = join_all((0..60).map(|_| tells(&shop, &provider, &captured, "ev_1"))).await;
        assert!(told.iter().all(|answer| answer.status == 200));
        let events = "SELECT count(*) FROM payment_events WHERE outcome = 'captured'";
        assert_eq!(site.raw_db().number(events), 1);
        assert_eq!(site.raw_db().number("SELECT count(*) FROM payment_events"), 1);
        assert_eq!(ada.get(&path(&order)).await.text("/payment/transactionId"), "pay_1");
    }
}
