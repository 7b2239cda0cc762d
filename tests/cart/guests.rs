//! The carts of guests: a token instead of an account, and the merge at sign-in.

use std::time::Duration;

use futures_util::future::{join, join_all};
use http::Method;
use serde_json::{Value, json};

use crate::support::{TestResponse, TestShop, shopping::variant_id, storage_test};

const DAY: Duration = Duration::from_hours(24);
const PASSWORD: &str = "correct horse battery staple";

/// Creates the cart of a guest and returns its token.
async fn guest(shop: &TestShop) -> String {
    let created = shop.anonymous().post("/carts", json!({})).await;
    assert_eq!(created.status, 201, "{created:?}");
    created.text("/cartToken")
}

async fn call(
    shop: &TestShop,
    token: &str,
    method: Method,
    path: &str,
    body: Value,
) -> TestResponse {
    let headers = [("cart-token", token)];
    shop.anonymous().call(method, path, &headers, body).await
}

async fn add(shop: &TestShop, token: &str, product: &str, quantity: i64) -> TestResponse {
    let body = json!({ "productId": product, "quantity": quantity });
    call(shop, token, Method::POST, "/cart", body).await
}

async fn show(shop: &TestShop, token: &str) -> TestResponse {
    call(shop, token, Method::GET, "/cart", Value::Null).await
}

async fn register(shop: &TestShop, name: &str, more: Value) -> TestResponse {
    let mut body =
        json!({ "email": format!("{name}@example.com"), "password": PASSWORD, "name": name });
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    shop.anonymous().post("/auth/register", body).await
}

async fn log_in(shop: &TestShop, name: &str, more: Value) -> TestResponse {
    let mut body = json!({ "email": format!("{name}@example.com"), "password": PASSWORD });
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    shop.anonymous().post("/auth/login", body).await
}

/// Returns the names and quantities in a cart.
fn contents(cart: &Value) -> Vec<(String, i64)> {
    let items = cart["items"].as_array().unwrap().iter();
    let mut contents: Vec<_> = items
        .map(|item| {
            (
                item["product"]["name"].as_str().unwrap().to_owned(),
                item["quantity"].as_i64().unwrap(),
            )
        })
        .collect();
    contents.sort_unstable();
    contents
}

/// Returns the outcomes of a merge with their quantities, sorted, with the reason if there is one.
fn outcomes(merged: &Value) -> Vec<String> {
    let lines = merged.as_array().unwrap().iter();
    let mut outcomes: Vec<_> = lines
        .map(|line| {
            let reason = line["reason"].as_str().unwrap_or("-");
            format!(
                "{} {} {reason}",
                line["outcome"].as_str().unwrap(),
                line["quantity"]
            )
        })
        .collect();
    outcomes.sort_unstable();
    outcomes
}

storage_test! {
    async fn a_guest_fills_a_cart_and_finds_it_after_signing_in(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let shirt = shop.product_with_options("T-shirt", &[("Size", &["S", "M"])], (2_000, 3)).await;
        let medium = variant_id(&shirt, "M");
        assert_eq!(register(&shop, "ada", json!({})).await.json()["merged"], Value::Null);

        let created = shop.anonymous().post("/carts", Value::Null).await;
        let token = created.text("/cartToken");
        assert!(token.starts_with("cart_") && token.len() == 48, "{token}");
        assert_eq!((created.status, created.number("/cart/itemCount")), (201, 0));
        assert!(created.header("x-inventory-seq").is_some());
        assert_eq!(add(&shop, &token, &kettle, 2).await.number("/itemCount"), 2);
        let body = json!({ "variantId": medium });
        assert_eq!(call(&shop, &token, Method::POST, "/cart", body).await.status, 200);
        let item = format!("/cart/items/{kettle}");
        let changed = call(&shop, &token, Method::PATCH, &item, json!({ "quantity": 1 })).await;
        assert_eq!(contents(&changed.json()), [("Kettle".to_owned(), 1), ("T-shirt".to_owned(), 1)]);

        let session = log_in(&shop, "ada", json!({ "cartToken": token })).await;
        assert_eq!(session.status, 200, "{session:?}");
        assert_eq!(outcomes(&session.json()["merged"]), ["ADDED 1 -", "ADDED 1 -"]);
        let bearer = format!("Bearer {}", session.text("/accessToken"));
        let headers = [("authorization", bearer.as_str())];
        let cart = shop.anonymous().call(Method::GET, "/cart", &headers, Value::Null).await;
        assert_eq!(contents(&cart.json()), contents(&changed.json()));
        show(&shop, &token).await.assert_problem(404, "not-found");
        add(&shop, &token, &kettle, 1).await.assert_problem(404, "not-found");

        let again = log_in(&shop, "ada", json!({ "cartToken": token })).await;
        assert_eq!((again.status, &again.json()["merged"]), (200, &json!([])), "once");
        let order = shop.anonymous().call(Method::POST, "/orders", &headers, Value::Null).await;
        assert_eq!(order.status, 201, "{order:?}");
        let stored = shop.raw_db().dump();
        assert!(!format!("{stored:?}").contains(&token[5..]), "only the hash is stored");
        assert!(shop.run(&["verify"]).status.success());
    }

    async fn a_new_account_gets_the_cart_of_the_guest(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let token = guest(&shop).await;
        add(&shop, &token, &kettle, 2).await;
        let registered = register(&shop, "ada", json!({ "cartToken": token })).await;
        assert_eq!(registered.status, 201, "{registered:?}");
        assert_eq!(outcomes(&registered.json()["merged"]), ["ADDED 2 -"]);
        let ada = shop.sign_in("ada", shop::domain::accounts::Role::Customer).await;
        assert_eq!(contents(&ada.get("/cart").await.json()), [("Kettle".to_owned(), 2)]);
    }

    async fn a_token_stands_for_one_cart_and_nothing_else(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let (token, other) = (guest(&shop).await, guest(&shop).await);
        add(&shop, &token, &kettle, 1).await;
        assert_eq!(show(&shop, &other).await.number("/itemCount"), 0);
        for wrong in ["cart_", "x", "", &token[..47], &format!("{token}A"), &token.to_uppercase()] {
            show(&shop, wrong).await.assert_problem(404, "not-found");
            add(&shop, wrong, &kettle, 1).await.assert_problem(404, "not-found");
        }
        let ada = shop.customer("ada").await;
        let both = [("cart-token", token.as_str())];
        ada.call(Method::GET, "/cart", &both, Value::Null).await.assert_problem(400, "invalid-header");
        let twice = [("cart-token", token.as_str()), ("cart-token", token.as_str())];
        let refused = shop.anonymous().call(Method::GET, "/cart", &twice, Value::Null).await;
        refused.assert_problem(400, "invalid-header");
        shop.anonymous().get("/cart").await.assert_problem(401, "unauthorized");
        for (method, path) in [(Method::POST, "/orders"), (Method::GET, "/orders"), (Method::GET, "/me")] {
            call(&shop, &token, method, path, Value::Null).await.assert_problem(401, "unauthorized");
        }
        let body = json!({ "cartToken": token });
        call(&shop, &token, Method::POST, "/cart/merge", body.clone()).await.assert_problem(401, "unauthorized");
        ada.call(Method::POST, "/cart/merge", &both, body).await.assert_problem(400, "invalid-header");
        for private in [show(&shop, &token).await, shop.anonymous().post("/carts", Value::Null).await] {
            assert_eq!(private.header("cache-control"), Some("no-store"), "{private:?}");
        }
        let refused = shop.anonymous().post("/carts", json!({ "currency": "XAU" })).await;
        refused.assert_problem(422, "validation-failed");
        assert_eq!(shop.anonymous().post("/carts", json!({ "currency": "INR" })).await.status, 201);
    }

    async fn quantities_are_added_up_to_the_stock_and_every_outcome_is_named(shop: TestShop) {
        let kettle = shop.product("Kettle", 1_000, 5).await;
        let mug = shop.product("Mug", 100, 2_000).await;
        let pan = shop.product("Pan", 100, 9).await;
        let cup = shop.product("Cup", 100, 9).await;
        let pot = shop.product("Pot", 100, 3).await;
        let ada = shop.customer("ada").await;
        for (product, quantity) in [(&kettle, 2), (&mug, 900), (&pot, 3)] {
            ada.add_to_cart(product, quantity).await;
        }
        let token = guest(&shop).await;
        for (product, quantity) in [(&kettle, 4), (&mug, 200), (&pan, 3), (&cup, 1), (&pot, 1)] {
            assert_eq!(add(&shop, &token, product, quantity).await.status, 200);
        }
        let admin = shop.admin().await;
        assert_eq!(admin.delete(&format!("/products/{cup}")).await.status, 204);
        let lost = json!({ "delta": -2, "reason": "lost" });
        assert_eq!(admin.post(&format!("/admin/products/{pot}/stock"), lost).await.status, 200);

        let merged = ada.post("/cart/merge", json!({ "cartToken": token })).await;
        assert_eq!(merged.status, 200, "{merged:?}");
        assert_eq!(outcomes(&merged.json()["merged"]), [
            "ADDED 3 -", "CAPPED 1000 too-many-units", "CAPPED 3 insufficient-stock", "CAPPED 5 insufficient-stock",
            "DROPPED 0 unavailable",
        ]);
        let names = ["Kettle", "Mug", "Pan", "Pot"].map(str::to_owned);
        let expected: Vec<_> = names.into_iter().zip([5, 1_000, 3, 3]).collect();
        assert_eq!(contents(&merged.json()["cart"]), expected, "the account keeps what it had");
        assert_eq!(contents(&ada.get("/cart").await.json()), expected);
        let again = ada.post("/cart/merge", json!({ "cartToken": token })).await.json();
        assert_eq!((&again["merged"], contents(&again["cart"])), (&json!([]), expected));
        ada.post("/cart/merge", json!({ "cartToken": "cart_x" })).await.assert_problem(404, "not-found");
    }

    async fn a_full_cart_gets_no_more_lines(shop: TestShop) {
        let ada = shop.customer("ada").await;
        let mut products = Vec::new();
        for n in 0..102 {
            products.push(shop.product(&format!("P{n}"), 100, 9).await);
        }
        for product in &products[..99] {
            ada.add_to_cart(product, 1).await;
        }
        let token = guest(&shop).await;
        for product in &products[98..] {
            add(&shop, &token, product, 1).await;
        }
        let merged = ada.post("/cart/merge", json!({ "cartToken": token })).await.json();
        assert_eq!(outcomes(&merged["merged"]), [
            "ADDED 1 -", "DROPPED 0 too-many-lines", "DROPPED 0 too-many-lines", "SUMMED 2 -",
        ]);
        assert_eq!(merged["cart"]["items"].as_array().map(Vec::len), Some(100));
    }

    async fn the_cart_of_the_guest_can_replace_that_of_the_account(shop: TestShop) {
        let (kettle, mug) = (shop.product("Kettle", 1_000, 5).await, shop.product("Mug", 100, 9).await);
        let ada = shop.customer("ada").await;
        ada.add_to_cart(&kettle, 2).await;
        let token = guest(&shop).await;
        add(&shop, &token, &mug, 1).await;
        let refused = ada.post("/cart/merge", json!({ "cartToken": token, "strategy": "NEWEST" })).await;
        refused.assert_problem(422, "validation-failed");
        let merged = ada.post("/cart/merge", json!({ "cartToken": token, "strategy": "REPLACE" })).await.json();
        assert_eq!(contents(&merged["cart"]), [("Mug".to_owned(), 1)]);
    }

    async fn a_bad_token_never_fails_a_sign_in(shop: TestShop) {
        let wrong = json!({ "cartToken": "cart_wrong" });
        let registered = register(&shop, "ada", wrong.clone()).await;
        assert_eq!((registered.status, &registered.json()["merged"]), (201, &json!([])));
        for token in ["", "\0", &"x".repeat(10_000)] {
            let session = log_in(&shop, "ada", json!({ "cartToken": token })).await;
            assert_eq!((session.status, &session.json()["merged"]), (200, &json!([])), "{session:?}");
        }
        for none in [json!({}), json!({ "cartToken": null })] {
            let session = log_in(&shop, "ada", none).await;
            assert_eq!((session.status, &session.json()["merged"]), (200, &Value::Null));
        }
    }

    async fn a_cart_ends_thirty_days_after_its_last_change(shop: TestShop) {
        let kettle = shop.product("Kettle", 1_000, 5).await;
        let (kept, forgotten) = (guest(&shop).await, guest(&shop).await);
        add(&shop, &forgotten, &kettle, 1).await;
        shop.advance_clock(DAY * 20);
        add(&shop, &kept, &kettle, 1).await;
        shop.advance_clock(DAY * 11);
        show(&shop, &forgotten).await.assert_problem(404, "not-found");
        let ada = shop.customer("ada").await;
        let merged = ada.post("/cart/merge", json!({ "cartToken": forgotten })).await;
        merged.assert_problem(404, "not-found");
        assert_eq!(show(&shop, &kept).await.number("/itemCount"), 1);
        shop::worker::clean_up(&shop.app).await;
        let raw = shop.raw_db();
        let carts = "SELECT count(*) FROM carts WHERE token_hash IS NOT NULL";
        assert_eq!((raw.number(carts), raw.number("SELECT count(*) FROM cart_lines")), (1, 1));
    }

    async fn twenty_parallel_merges_count_every_unit_once(shop: TestShop) {
        let kettle = shop.product("Kettle", 1_000, 500).await;
        let (ada, bob) = (shop.customer("ada").await, shop.customer("bob").await);
        for round in 0..5 {
            let token = guest(&shop).await;
            add(&shop, &token, &kettle, 3).await;
            let merge = |client| {
                let body = json!({ "cartToken": token });
                let client: &crate::support::Client<'_> = client;
                async move { client.post("/cart/merge", body).await }
            };
            let merges = join_all((0..20).map(|n| merge(if n % 4 == 0 { &bob } else { &ada })));
            let adds = join_all((0..5).map(|_| add(&shop, &token, &kettle, 1)));
            let (merges, adds) = join(merges, adds).await;
            let effective: Vec<_> = merges.iter().filter(|it| it.json()["merged"] != json!([])).collect();
            assert_eq!(effective.len(), 1, "round {round}: {merges:?}");
            let added = i64::try_from(adds.iter().filter(|it| it.status == 200).count()).unwrap();
            for refused in adds.iter().filter(|it| it.status != 200) {
                refused.assert_problem(404, "not-found");
            }
            let mut units = 0;
            for client in [&ada, &bob] {
                units += client.get("/cart").await.number("/itemCount");
                assert_eq!(client.delete("/cart").await.status, 200);
            }
            assert_eq!(units, 3 + added, "round {round}");
        }
        assert!(shop.run(&["verify"]).status.success());
    }
}
