//! Orders: placing, reading, transitions.

mod checkout;
mod cursor;
mod idempotency;

use std::{collections::BTreeMap, time::Duration};

use http::Method;
use serde_json::{Value, json};
use shop::domain::{
    orders::{Actor, Status, TRANSITIONS},
    settlement,
};

use crate::support::{Client, Engine, TestShop, shopping::path, snapshot, storage_test};

const MINUTE: Duration = Duration::from_mins(1);

storage_test! {
    async fn an_order_contains_the_items_of_the_cart(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 5).await;
        shop.advance_clock(MINUTE);
        let mug = shop.product("Mug", 30_000, 9).await;
        let ada = shop.customer("ada").await;
        ada.add_to_cart(&mug, 3).await;
        ada.add_to_cart(&kettle, 2).await;

        let placed = ada.checkout().await;
        assert_eq!(placed.status, 201);
        snapshot!(placed.json(), {
            ".id" => "[order]",
            ".number" => "[number]",
            ".userId" => "[ada]",
            ".items[].id" => "[item]",
            ".items[].productId" => "[product]",
            ".items[].variantId" => "[variant]",
            ".payment.id" => "[payment]",
            ".payment.providerOrderId" => "[provider's order]",
        }, @r#"
        {
          "createdAt": "2026-01-31T12:01:00.000Z",
          "currency": "INR",
          "id": "[order]",
          "items": [
            {
              "id": "[item]",
              "lineTotal": 259800,
              "name": "Kettle",
              "options": [],
              "price": 129900,
              "productId": "[product]",
              "quantity": 2,
              "sku": null,
              "title": "",
              "variantId": "[variant]"
            },
            {
              "id": "[item]",
              "lineTotal": 90000,
              "name": "Mug",
              "options": [],
              "price": 30000,
              "productId": "[product]",
              "quantity": 3,
              "sku": null,
              "title": "",
              "variantId": "[variant]"
            }
          ],
          "number": "[number]",
          "payment": {
            "amount": 349800,
            "id": "[payment]",
            "provider": "mock",
            "providerOrderId": "[provider's order]",
            "refundedAmount": 0,
            "refunds": [],
            "status": "CREATED",
            "transactionId": null
          },
          "status": "PENDING",
          "totalAmount": 349800,
          "updatedAt": "2026-01-31T12:01:00.000Z",
          "userId": "[ada]"
        }
        "#);
        let order = placed.json();
        let location = format!("/api/v1{}", path(&order));
        assert_eq!(placed.header("location"), Some(location.as_str()));
        assert_eq!(placed.header("cache-control"), Some("no-store"));
        assert_eq!(order["items"][0]["productId"], json!(kettle));
        assert_eq!(order["items"][1]["productId"], json!(mug));
        let number = order["number"].as_str().unwrap();
        let groups: Vec<&str> = number.split('-').collect();
        assert_eq!(groups.iter().map(|part| part.len()).collect::<Vec<_>>(), [4, 4]);
        let provider_order = placed.text("/payment/providerOrderId");
        assert_eq!(provider_order.strip_prefix("order_").map(str::len), Some(14));

        assert_eq!(ada.get(&path(&order)).await.body, placed.body);
        assert_eq!((shop.stock(&kettle).await, shop.stock(&mug).await), (3, 6));
        assert_eq!(ada.get("/cart").await.number("/itemCount"), 0);
        shop.raw_db().assert_invariants();
    }

    async fn an_order_sends_stock_events(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let ada = shop.customer("ada").await;
        let before = shop.events().await.len();
        let order = ada.place_order(&kettle, 2).await;
        shop.advance_clock(MINUTE);
        ada.post(&format!("{}/cancel", path(&order)), Value::Null).await;
        let events: Vec<String> =
            shop.events().await.iter().skip(before).map(ToString::to_string).collect();
        assert_eq!(events, [
            json!([{ "id": kettle, "stockQuantity": 3 }]).to_string(),
            json!([{ "id": kettle, "stockQuantity": 5 }]).to_string(),
        ]);
    }

    async fn an_order_keeps_its_names_and_prices(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let ada = shop.customer("ada").await;
        let order = ada.place_order(&kettle, 2).await;
        let admin = shop.admin().await;
        let product = format!("/products/{kettle}");
        let changed = admin.patch(&product, json!({ "name": "Teapot", "price": 1 })).await;
        assert_eq!(changed.status, 200);
        assert_eq!(ada.get(&path(&order)).await.json(), order);
        assert_eq!(admin.delete(&product).await.status, 204);
        assert_eq!(ada.get(&path(&order)).await.json(), order);
    }

    async fn another_customers_order_is_not_found(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let order = shop.customer("ada").await.place_order(&kettle, 1).await;
        let bob = shop.customer("bob").await;
        bob.get(&path(&order)).await.assert_problem(404, "not-found");
        let cancel = format!("{}/cancel", path(&order));
        bob.post(&cancel, Value::Null).await.assert_problem(404, "not-found");
        assert_eq!(bob.get("/orders").await.number("/total"), 0);
        bob.get(&format!("/admin{}", path(&order))).await.assert_problem(403, "forbidden");
        shop.anonymous().get(&path(&order)).await.assert_problem(401, "unauthorized");
        for odd in ["/orders/1", "/orders/00000000-0000-0000-0000-000000000000"] {
            bob.get(odd).await.assert_problem(404, "not-found");
        }
    }

    async fn orders_are_listed_newest_first(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 50).await;
        let ada = shop.customer("ada").await;
        let mut orders = Vec::new();
        for _ in 0..5 {
            shop.advance_clock(MINUTE);
            orders.push(ada.place_order(&kettle, 1).await);
        }
        shop.customer("bob").await.place_order(&kettle, 1).await;
        orders.reverse();

        let first = ada.get("/orders?limit=2").await;
        assert_eq!(first.json(), json!({
            "data": orders[..2], "page": 1, "limit": 2, "total": 5, "totalPages": 3,
        }));
        let links = first.header("link").unwrap();
        assert!(links.contains("page=2") && links.contains("rel=\"next\""), "{links}");
        let last = ada.get("/orders?page=3&limit=2").await;
        assert_eq!(last.json()["data"], json!(orders[4..]));
        let beyond = ada.get("/orders?page=9&limit=2").await;
        assert_eq!(beyond.json()["data"], json!([]));
        assert_eq!(beyond.number("/total"), 5);

        ada.post(&format!("{}/cancel", path(&orders[3])), Value::Null).await;
        let cancelled = ada.get("/orders?status=CANCELLED").await;
        assert_eq!(cancelled.number("/total"), 1);
        assert_eq!(cancelled.text("/data/0/id"), orders[3]["id"]);
        assert_eq!(ada.get("/orders?status=PENDING").await.number("/total"), 4);
        for wrong in ["status=pending", "page=0", "limit=101", "limit=0", "sort=x"] {
            let refused = ada.get(&format!("/orders?{wrong}")).await;
            refused.assert_problem(400, "invalid-query");
        }
    }

    async fn a_cancelled_order_returns_its_stock_once(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let mug = shop.product("Mug", 30_000, 9).await;
        let ada = shop.customer("ada").await;
        ada.add_to_cart(&mug, 3).await;
        let order = ada.place_order(&kettle, 2).await;
        shop.advance_clock(MINUTE);

        let cancel = format!("{}/cancel", path(&order));
        let cancelled = ada.post(&cancel, Value::Null).await;
        assert_eq!(cancelled.status, 200);
        assert_eq!(cancelled.text("/status"), "CANCELLED");
        assert_eq!(cancelled.text("/updatedAt"), "2026-01-31T12:01:00.000Z");
        assert_eq!(cancelled.json()["items"], order["items"]);
        assert_eq!((shop.stock(&kettle).await, shop.stock(&mug).await), (5, 9));

        let before = shop.raw_db().dump();
        let again = ada.post(&cancel, Value::Null).await;
        again.assert_problem(409, "illegal-transition");
        assert_eq!(shop.raw_db().dump(), before);
        shop.raw_db().assert_invariants();
    }

    async fn concurrent_cancels_succeed_once(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let ada = shop.customer("ada").await;
        let order = ada.place_order(&kettle, 2).await;
        let cancel = format!("{}/cancel", path(&order));
        let answers =
            futures_util::future::join_all((0..20).map(|_| ada.post(&cancel, Value::Null))).await;
        let done = answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!(done, 1);
        for refused in answers.iter().filter(|answer| answer.status != 200) {
            refused.assert_problem(409, "illegal-transition");
        }
        assert_eq!(shop.stock(&kettle).await, 5);
        shop.raw_db().assert_invariants();
    }

    async fn stock_is_returned_to_a_deleted_product(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let ada = shop.customer("ada").await;
        let order = ada.place_order(&kettle, 2).await;
        let gone = shop.admin().await.delete(&format!("/products/{kettle}")).await;
        assert_eq!(gone.status, 204);
        let events = shop.events().await;
        let cancelled = ada.post(&format!("{}/cancel", path(&order)), Value::Null).await;
        assert_eq!(cancelled.text("/status"), "CANCELLED");
        assert_eq!(shop.events().await, events, "no event for a deleted product");
        shop.raw_db().assert_invariants();
    }

    async fn an_admin_lists_all_orders(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 50).await;
        let (ada, bob) = (shop.customer("ada").await, shop.customer("bob").await);
        let first = ada.place_order(&kettle, 1).await;
        shop.advance_clock(MINUTE);
        let second = bob.place_order(&kettle, 1).await;
        shop.advance_clock(MINUTE);
        let third = ada.place_order(&kettle, 1).await;
        shop.capture(&second).await;

        let admin = shop.admin().await;
        let listed = |query: &str| {
            let (admin, path) = (admin.clone(), format!("/admin/orders{query}"));
            async move {
                let page = admin.get(&path).await.json();
                let ids = page["data"].as_array().unwrap().iter().map(|order| order["id"].clone());
                ids.collect::<Vec<_>>()
            }
        };
        let ids = |orders: &[&Value]| -> Vec<Value> {
            orders.iter().map(|order| order["id"].clone()).collect()
        };
        let of_ada = format!("?userId={}", first["userId"].as_str().unwrap());
        assert_eq!(listed("").await, ids(&[&third, &second, &first]));
        assert_eq!(listed("?page=2&limit=2").await, ids(&[&first]));
        assert_eq!(listed(&of_ada).await, ids(&[&third, &first]));
        assert_eq!(listed("?status=PAID").await, ids(&[&second]));
        let from = "?from=2026-01-31T12:01:00Z";
        assert_eq!(listed(from).await, ids(&[&third, &second]), "inclusive");
        let to = "?to=2026-01-31T12:01:00Z";
        assert_eq!(listed(to).await, ids(&[&first]), "exclusive");
        let span = "?from=2026-01-31T17:31:00%2B05:30&to=2026-01-31T12:02:00Z&status=PAID";
        assert_eq!(listed(span).await, ids(&[&second]));
        assert_eq!(listed(&format!("{of_ada}&status=PAID")).await, ids(&[]));
        for wrong in ["?userId=ada", "?from=yesterday", "?to=2026-01-31", "?status=NEW", "?user=x"] {
            let refused = admin.get(&format!("/admin/orders{wrong}")).await;
            refused.assert_problem(400, "invalid-query");
        }

        let shown = admin.get(&format!("/admin{}", path(&third))).await;
        assert_eq!(shown.json(), third);
        let nobodys = "/admin/orders/00000000-0000-0000-0000-000000000000";
        admin.get(nobodys).await.assert_problem(404, "not-found");
        admin.get(&path(&third)).await.assert_problem(404, "not-found");
    }

    async fn only_listed_transitions_are_allowed(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 500).await;
        let (ada, admin) = (shop.customer("ada").await, shop.admin().await);
        for (from, steps) in paths() {
            for &next in Status::ALL {
                let order = place_in_status(&shop, &ada, &admin, &kettle, &steps).await;
                let moved = admin_transition(&admin, &order, next).await;
                if from.can_transition_to(next, Actor::Admin) {
                    assert_eq!(moved.text("/status"), next.as_str(), "{from:?} to {next:?}");
                } else {
                    moved.assert_problem(409, "illegal-transition");
                    let still = ada.get(&path(&order)).await;
                    assert_eq!(still.text("/status"), from.as_str(), "{from:?} to {next:?}");
                }
            }
            let order = place_in_status(&shop, &ada, &admin, &kettle, &steps).await;
            let cancelled = ada.post(&format!("{}/cancel", path(&order)), Value::Null).await;
            if from.can_transition_to(Status::Cancelled, Actor::Customer) {
                assert_eq!(cancelled.text("/status"), "CANCELLED");
            } else {
                cancelled.assert_problem(409, "illegal-transition");
            }
        }
        shop.raw_db().assert_invariants();
    }

    async fn an_unknown_status_is_refused(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let ada = shop.customer("ada").await;
        let order = ada.place_order(&kettle, 1).await;
        let admin = shop.admin().await;
        let place = format!("/admin{}", path(&order));
        admin.patch(&place, json!({ "status": "LOST" })).await.assert_invalid_field("status");
        admin.patch(&place, json!({ "status": "shipped" })).await.assert_invalid_field("status");
        admin.patch(&place, json!({})).await.assert_invalid_field("status");
        admin.patch(&place, json!({ "status": "SHIPPED", "paid": true })).await.assert_invalid_field("paid");
        ada.patch(&place, json!({ "status": "CANCELLED" })).await.assert_problem(403, "forbidden");
        assert_eq!(ada.get(&path(&order)).await.json(), order);
    }
}

/// The transitions from PENDING to a status, with their actors.
type Path = Vec<(Status, Actor)>;

/// Returns every reachable status with a path to it.
fn paths() -> Vec<(Status, Path)> {
    let mut known: BTreeMap<&str, (Status, Path)> =
        BTreeMap::from([("PENDING", (Status::Pending, Vec::new()))]);
    for _ in Status::ALL {
        for (from, to, actors) in TRANSITIONS {
            let reached = known.get(from.as_str()).cloned();
            if let Some((_, mut steps)) = reached {
                steps.push((*to, actors[0]));
                known.entry(to.as_str()).or_insert((*to, steps));
            }
        }
    }
    assert_eq!(known.len(), 6, "{known:?}");
    known.into_values().collect()
}

/// Places an order and takes it along a path of transitions.
async fn place_in_status(
    shop: &TestShop,
    customer: &Client<'_>,
    admin: &Client<'_>,
    product: &str,
    steps: &[(Status, Actor)],
) -> Value {
    let order = customer.place_order(product, 1).await;
    for (next, actor) in steps {
        match actor {
            Actor::Provider if *next == Status::Refunded => {
                let refund = format!("/admin{}/refund", path(&order));
                assert_eq!(admin.post(&refund, Value::Null).await.status, 200);
            }
            Actor::Provider => shop.capture(&order).await,
            Actor::Customer => {
                let cancel = format!("{}/cancel", path(&order));
                customer.post(&cancel, Value::Null).await;
            }
            Actor::Expiry => {
                shop.advance_clock(31 * MINUTE);
                settlement::expire_due(&shop.app).await.unwrap();
            }
            Actor::Admin => {
                admin_transition(admin, &order, *next).await;
            }
        }
    }
    let order = customer.get(&path(&order)).await.json();
    let end = steps
        .last()
        .map_or("PENDING", |(status, _)| status.as_str());
    assert_eq!(order["status"], json!(end));
    order
}

async fn admin_transition(
    admin: &Client<'_>,
    order: &Value,
    to: Status,
) -> crate::support::TestResponse {
    let place = format!("/admin{}", path(order));
    let body = json!({ "status": to.as_str() });
    admin.call(Method::PATCH, &place, &[], body).await
}
