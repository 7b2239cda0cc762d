//! Common steps of customers: fill the cart, check out.

use http::Method;
use serde_json::{Value, json};

use shop::infra::bus;

use super::{Client, TestResponse, TestShop};

impl Client<'_> {
    /// Adds a product to the cart.
    pub(crate) async fn add_to_cart(&self, product: &str, quantity: i64) {
        let body = json!({ "productId": product, "quantity": quantity });
        let cart = self.post("/cart", body).await;
        assert_eq!(cart.status, 200, "{cart:?}");
    }

    /// Checks out. The response may be an error.
    pub(crate) async fn checkout(&self) -> TestResponse {
        self.post("/orders", Value::Null).await
    }

    /// Like [`Client::checkout`], with an `Idempotency-Key`.
    pub(crate) async fn checkout_with_key(&self, key: &str) -> TestResponse {
        let headers = [("idempotency-key", key)];
        self.call(Method::POST, "/orders", &headers, Value::Null)
            .await
    }

    /// Orders a product. Returns the order.
    pub(crate) async fn place_order(&self, product: &str, quantity: i64) -> Value {
        self.add_to_cart(product, quantity).await;
        let placed = self.checkout().await;
        assert_eq!(placed.status, 201, "{placed:?}");
        placed.json()
    }
}

/// Returns the path of an order for its customer.
pub(crate) fn path(order: &Value) -> String {
    format!("/orders/{}", order["id"].as_str().unwrap())
}

impl TestShop {
    /// Counts the orders in the database.
    pub(crate) fn orders(&self) -> i64 {
        self.raw_db().number("SELECT count(*) FROM orders")
    }

    /// Returns the changes of every event so far, in order.
    pub(crate) async fn events(&self) -> Vec<Value> {
        self.app.db.flush_events().await.unwrap();
        let events = self
            .app
            .db
            .read("test.events", |tx| bus::events_after(tx, 0))
            .await
            .unwrap();
        let changes = events.iter().map(|event| json!(event.changes));
        changes.collect()
    }
}
