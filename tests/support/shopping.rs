//! What customers do in every second story.

use http::Method;
use serde_json::{Value, json};

use shop::infra::bus;

use super::{Answer, Client, TestShop};

impl Client<'_> {
    /// Puts a product into the cart.
    pub(crate) async fn add_to_cart(&self, product: &str, quantity: i64) {
        let body = json!({ "productId": product, "quantity": quantity });
        let cart = self.post("/cart", body).await;
        assert_eq!(cart.status, 200, "{cart:?}");
    }

    /// Orders what is in the cart, come what may.
    pub(crate) async fn checkout(&self) -> Answer {
        self.post("/orders", Value::Null).await
    }

    /// As [`Client::checkout`], under an `Idempotency-Key`.
    pub(crate) async fn checks_out_once(&self, key: &str) -> Answer {
        let headers = [("idempotency-key", key)];
        self.call(Method::POST, "/orders", &headers, Value::Null)
            .await
    }

    /// Orders a product and tells the order.
    pub(crate) async fn place_order(&self, product: &str, quantity: i64) -> Value {
        self.add_to_cart(product, quantity).await;
        let placed = self.checkout().await;
        assert_eq!(placed.status, 201, "{placed:?}");
        placed.json()
    }
}

/// The path of an order for its customer.
pub(crate) fn path(order: &Value) -> String {
    format!("/orders/{}", order["id"].as_str().unwrap())
}

impl TestShop {
    /// How many orders there are.
    pub(crate) fn orders(&self) -> i64 {
        self.raw_db().number("SELECT count(*) FROM orders")
    }

    /// What listeners were told since the beginning, in order: each event's changes.
    pub(crate) async fn events(&self) -> Vec<Value> {
        self.app.db.flush_events().await.unwrap();
        let read = self
            .app
            .db
            .read("test.events", |tx| bus::events_after(tx, 0));
        let events = read.await.unwrap();
        let changes = events.iter().map(|event| json!(event.changes));
        changes.collect()
    }
}
