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
    /// Creates a product with a variant for each combination of the values of its options. Returns the product.
    pub(crate) async fn product_with_options(
        &self,
        name: &str,
        options: &[(&str, &[&str])],
        (price, stock): (i64, i64),
    ) -> Value {
        let mut combinations = vec![serde_json::Map::new()];
        for (option, values) in options {
            let extended = combinations.iter().flat_map(|combination| {
                values.iter().map(|value| {
                    let mut extended = combination.clone();
                    extended.insert((*option).to_owned(), json!(value));
                    extended
                })
            });
            combinations = extended.collect();
        }
        let variants: Vec<Value> = combinations
            .iter()
            .map(|selected| json!({ "options": selected, "price": price, "stockQuantity": stock }))
            .collect();
        let options = options.iter();
        let options: Vec<_> = options
            .map(|(name, values)| json!({ "name": name, "values": values }))
            .collect();
        let body = json!({ "name": name, "options": options, "variants": variants });
        let created = self.admin().await.post("/products", body).await;
        assert_eq!(created.status, 201, "{created:?}");
        created.json()
    }

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

/// Returns the id of the variant of a product with this title.
pub(crate) fn variant_id(product: &Value, title: &str) -> String {
    let variants = product["variants"].as_array().unwrap();
    let variant = variants.iter().find(|variant| variant["title"] == title);
    variant.unwrap()["id"].as_str().unwrap().to_owned()
}
