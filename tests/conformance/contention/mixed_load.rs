//! A mixed load: customers and admins run concurrently, each as its own task.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};
use shop::domain::accounts::Role;
use tokio::task::JoinSet;

use super::sign_in_many;
use crate::{
    conformance::rng::TestRng,
    support::{Client, TestResponse, TestShop, provider::event, shopping::path},
};

/// The products and categories that all of them use.
struct Targets {
    products: Vec<String>,
    categories: Vec<String>,
}

/// Sends 40 random requests of a customer: fills the cart, orders, cancels or pays.
async fn act_as_customer(
    shop: &TestShop,
    client: &Client<'_>,
    targets: &Targets,
    rng: &mut TestRng,
) -> Vec<TestResponse> {
    let mut answers = Vec::new();
    let mut orders: Vec<Value> = Vec::new();
    for _ in 0..40 {
        let product = &targets.products[rng.below(6)];
        let answer = match (rng.below(10), orders.last()) {
            (0..=4, _) => {
                let body = json!({ "productId": product, "quantity": 1 + rng.below(3) });
                client.post("/cart", body).await
            }
            (5, _) => client.delete(&format!("/cart/items/{product}")).await,
            (6, Some(order)) => {
                client
                    .post(&format!("{}/cancel", path(order)), Value::Null)
                    .await
            }
            (7, Some(order)) => {
                let body = event(
                    "payment.captured",
                    order,
                    &format!("pay_{}", order["number"]),
                );
                shop.deliver(body.to_string().as_bytes(), "ev").await
            }
            _ => client.checkout().await,
        };
        if answer.status == 201 {
            orders.push(answer.json());
        }
        answers.push(answer);
    }
    answers
}

/// Sends 40 random requests of an admin: changes stock, prices, categories and orders, deletes products.
async fn act_as_admin(
    client: &Client<'_>,
    targets: &Targets,
    rng: &mut TestRng,
) -> Vec<TestResponse> {
    let mut answers = Vec::new();
    for turn in 0..40 {
        let product = &targets.products[rng.below(6)];
        let category = &targets.categories[rng.below(2)];
        let path = format!("/products/{product}");
        answers.push(match rng.below(8) {
            0 | 1 => {
                let delta = 7 - 3 * i64::try_from(rng.below(6)).unwrap();
                let body =
                    json!({ "delta": if delta == 0 { 1 } else { delta }, "reason": "counted" });
                client.post(&format!("/admin{path}/stock"), body).await
            }
            2 => {
                client
                    .patch(&path, json!({ "price": 100 + rng.below(9) }))
                    .await
            }
            3 => client.patch(&path, json!({ "categoryId": category })).await,
            4 => {
                let tag = client.get(&path).await;
                let tag = tag.header("etag").unwrap_or("\"gone\"").to_owned();
                let body = json!({ "stockQuantity": rng.below(30) });
                client
                    .call(Method::PATCH, &path, &[("if-match", &tag)], body)
                    .await
            }
            5 => {
                let body = json!({ "name": "Bowl", "price": 5, "categoryId": category });
                client.post("/products", body).await
            }
            6 => {
                let recent = client.get("/admin/orders?limit=3").await.json();
                let order = recent["data"][rng.below(3)]["id"]
                    .as_str()
                    .unwrap_or("none");
                let status = ["SHIPPED", "DELIVERED", "CANCELLED"][rng.below(3)];
                client
                    .patch(
                        &format!("/admin/orders/{order}"),
                        json!({ "status": status }),
                    )
                    .await
            }
            _ if turn == 30 => client.delete(&path).await,
            _ => client.delete(&format!("/categories/{category}")).await,
        });
    }
    answers
}

contention_test! {
    async fn a_mixed_load_leaves_consistent_data(shop: TestShop) {
        let admin = shop.admin().await;
        let mut targets = Targets { products: Vec::new(), categories: Vec::new() };
        for number in 0..6 {
            targets.products.push(shop.product(&format!("Product {number}"), 100, 20).await);
        }
        for name in ["Kitchen", "Garden"] {
            let created = admin.post("/categories", json!({ "name": name })).await;
            targets.categories.push(created.text("/id"));
        }
        let customers = sign_in_many(&shop, "customer", 6, Role::Customer).await;
        let admins = sign_in_many(&shop, "admin", 3, Role::Admin).await;
        let users = customers.into_iter().chain(admins);
        let tokens: Vec<_> = users.map(|user| user.token.unwrap()).collect();
        let (shop, targets) = (Arc::new(shop), Arc::new(targets));
        let mut tasks = JoinSet::new();
        for (number, token) in tokens.into_iter().enumerate() {
            let (shop, targets) = (Arc::clone(&shop), Arc::clone(&targets));
            tasks.spawn(async move {
                let client = shop.bearer(&token);
                let mut rng = TestRng::new(u64::try_from(number).unwrap());
                if number < 6 {
                    act_as_customer(&shop, &client, &targets, &mut rng).await
                } else {
                    act_as_admin(&client, &targets, &mut rng).await
                }
            });
        }
        for answer in tasks.join_all().await.into_iter().flatten() {
            assert!(answer.status < 500, "{answer:?}");
        }
        let raw = shop.raw_db();
        raw.assert_invariants();
        assert!(raw.number("SELECT count(*) FROM orders WHERE status = 'CANCELLED'") > 0);
        assert!(raw.number("SELECT count(*) FROM orders WHERE status = 'PAID'") > 0);
    }
}
