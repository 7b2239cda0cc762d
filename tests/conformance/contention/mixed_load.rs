//! Everything at once, each on a task of its own.

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};
use shop::domain::accounts::Role;
use tokio::task::JoinSet;

use super::several;
use crate::{
    conformance::rng::Dice,
    support::{Answer, Client, TestShop, provider::event, shopping::path},
};

/// What they do it to.
struct Scene {
    products: Vec<String>,
    categories: Vec<String>,
}

/// What a customer does: fills the cart, orders, cancels or pays.
async fn shops(shop: &TestShop, one: &Client<'_>, scene: &Scene, dice: &mut Dice) -> Vec<Answer> {
    let mut answers = Vec::new();
    let mut orders: Vec<Value> = Vec::new();
    for _ in 0..40 {
        let product = &scene.products[dice.below(6)];
        let answer = match (dice.below(10), orders.last()) {
            (0..=4, _) => {
                let body = json!({ "productId": product, "quantity": 1 + dice.below(3) });
                one.post("/cart", body).await
            }
            (5, _) => one.delete(&format!("/cart/items/{product}")).await,
            (6, Some(order)) => {
                one.post(&format!("{}/cancel", path(order)), Value::Null)
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
            _ => one.checkout().await,
        };
        if answer.status == 201 {
            orders.push(answer.json());
        }
        answers.push(answer);
    }
    answers
}

/// What an admin does: changes stock, prices and categories, moves orders, takes products away.
async fn manages(one: &Client<'_>, scene: &Scene, dice: &mut Dice) -> Vec<Answer> {
    let mut answers = Vec::new();
    for turn in 0..40 {
        let product = &scene.products[dice.below(6)];
        let category = &scene.categories[dice.below(2)];
        let path = format!("/products/{product}");
        answers.push(match dice.below(8) {
            0 | 1 => {
                let delta = 7 - 3 * i64::try_from(dice.below(6)).unwrap();
                let body =
                    json!({ "delta": if delta == 0 { 1 } else { delta }, "reason": "counted" });
                one.post(&format!("/admin{path}/stock"), body).await
            }
            2 => {
                one.patch(&path, json!({ "price": 100 + dice.below(9) }))
                    .await
            }
            3 => one.patch(&path, json!({ "categoryId": category })).await,
            4 => {
                let tag = one.get(&path).await;
                let tag = tag.header("etag").unwrap_or("\"gone\"").to_owned();
                let body = json!({ "stockQuantity": dice.below(30) });
                one.call(Method::PATCH, &path, &[("if-match", &tag)], body)
                    .await
            }
            5 => {
                let body = json!({ "name": "Bowl", "price": 5, "categoryId": category });
                one.post("/products", body).await
            }
            6 => {
                let recent = one.get("/admin/orders?limit=3").await.json();
                let order = recent["data"][dice.below(3)]["id"]
                    .as_str()
                    .unwrap_or("none");
                let status = ["SHIPPED", "DELIVERED", "CANCELLED"][dice.below(3)];
                one.patch(
                    &format!("/admin/orders/{order}"),
                    json!({ "status": status }),
                )
                .await
            }
            _ if turn == 30 => one.delete(&path).await,
            _ => one.delete(&format!("/categories/{category}")).await,
        });
    }
    answers
}

contention_test! {
    async fn whatever_comes_at_once_adds_up(shop: TestShop) {
        let admin = shop.admin().await;
        let mut scene = Scene { products: Vec::new(), categories: Vec::new() };
        for number in 0..6 {
            scene.products.push(shop.product(&format!("Product {number}"), 100, 20).await);
        }
        for name in ["Kitchen", "Garden"] {
            let made = admin.post("/categories", json!({ "name": name })).await;
            scene.categories.push(made.text("/id"));
        }
        let customers = several(&shop, "customer", 6, Role::Customer).await;
        let admins = several(&shop, "admin", 3, Role::Admin).await;
        let people = customers.into_iter().chain(admins);
        let tokens: Vec<_> = people.map(|one| one.token.unwrap()).collect();
        let (shop, scene) = (Arc::new(shop), Arc::new(scene));
        let mut all = JoinSet::new();
        for (number, token) in tokens.into_iter().enumerate() {
            let (shop, scene) = (Arc::clone(&shop), Arc::clone(&scene));
            all.spawn(async move {
                let one = shop.bearer(&token);
                let mut dice = Dice::new(u64::try_from(number).unwrap());
                if number < 6 {
                    shops(&shop, &one, &scene, &mut dice).await
                } else {
                    manages(&one, &scene, &mut dice).await
                }
            });
        }
        for answer in all.join_all().await.into_iter().flatten() {
            assert!(answer.status < 500, "{answer:?}");
        }
        let raw = shop.raw_db();
        raw.assert_sound();
        assert!(raw.number("SELECT count(*) FROM orders WHERE status = 'CANCELLED'") > 0);
        assert!(raw.number("SELECT count(*) FROM orders WHERE status = 'PAID'") > 0);
    }
}
