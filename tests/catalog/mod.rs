//! Categories, products, stock, images, lists and search.

mod collections;
mod csv;
mod cursors;
mod etags;
mod forms;
mod images;
mod import;
mod lists;
mod movements;
mod normalization;
mod options;
mod response_cache;
mod search;
mod search_by_price;
mod search_by_relevance;
mod search_by_sku;
mod search_in_order;
mod search_limits;
mod variants;

use std::sync::Arc;

use http::Method;
use serde_json::{Value, json};

use crate::support::{Client, TestResponse, TestShop, snapshot, storage_test};

/// Creates a category as the admin and returns its id.
async fn category(shop: &TestShop, name: &str) -> String {
    let created = shop
        .admin()
        .await
        .post("/categories", json!({ "name": name }))
        .await;
    assert_eq!(created.status, 201, "{created:?}");
    created.text("/id")
}

async fn patch_if(client: &Client<'_>, product: &str, tag: &str, body: Value) -> TestResponse {
    let headers = [("if-match", tag)];
    client
        .call(
            Method::PATCH,
            &format!("/products/{product}"),
            &headers,
            body,
        )
        .await
}

/// Returns the product as an anonymous client sees it, and its entity tag.
async fn get_with_etag(shop: &TestShop, product: &str) -> (TestResponse, String) {
    let answer = shop.anonymous().get(&format!("/products/{product}")).await;
    let tag = answer.header("etag").unwrap().to_owned();
    (answer, tag)
}

storage_test! {
    async fn a_product_is_created_and_returned(shop: TestShop) {
        let kitchen = category(&shop, "Kitchen").await;
        let created = shop.admin().await.post("/products", json!({
            "name": "  Crème brûlée torch ",
            "description": "Burns sugar.\nNothing else.",
            "price": 129_900,
            "stockQuantity": 5,
            "categoryId": kitchen,
        })).await;
        assert_eq!(created.status, 201);
        snapshot!(
            created.as_listed(),
            { ".id" => "[id]", ".categoryId" => "[category]", ".category.id" => "[category]" },
            @r#"
        {
          "category": {
            "id": "[category]",
            "name": "Kitchen",
            "slug": "kitchen"
          },
          "categoryId": "[category]",
          "createdAt": "2026-01-31T12:00:00.000Z",
          "currency": "INR",
          "description": "Burns sugar.\nNothing else.",
          "id": "[id]",
          "images": [],
          "name": "Crème brûlée torch",
          "price": 129900,
          "priceMax": 129900,
          "slug": "creme-brulee-torch",
          "stockQuantity": 5,
          "updatedAt": "2026-01-31T12:00:00.000Z",
          "variantCount": 1
        }
        "#);

        let location = created.header("location").unwrap();
        assert_eq!(location, format!("/api/v1/products/{}", created.text("/id")));
        let shown = shop.anonymous().get(location).await;
        assert_eq!((shown.status, shown.json()), (200, created.json()));
        assert_eq!(shown.header("etag"), created.header("etag"));
        for answer in [&created, &shown] {
            answer.header("x-inventory-seq").unwrap().parse::<i64>().unwrap();
        }
        let listed = shop.anonymous().get("/products").await;
        assert_eq!(listed.json()["data"], json!([created.as_listed()]));
    }

    async fn a_product_requires_only_a_name_and_a_price(shop: TestShop) {
        let admin = shop.admin().await;
        let created = admin.post("/products", json!({ "name": "Pan", "price": 1 })).await;
        assert_eq!(created.status, 201);
        let json = created.json();
        assert_eq!(
            (&json["description"], &json["stockQuantity"], &json["categoryId"], &json["category"]),
            (&json!(""), &json!(0), &Value::Null, &Value::Null)
        );
        for field in ["name", "price"] {
            let mut body = json!({ "name": "Pan", "price": 1 });
            body.as_object_mut().unwrap().remove(field);
            admin.post("/products", body).await.assert_invalid_field(field);
        }
    }

    async fn an_invalid_product_field_is_named(shop: TestShop) {
        let admin = shop.admin().await;
        let pan = shop.product("Pan", 1, 0).await;
        let (_, tag) = get_with_etag(&shop, &pan).await;
        let edges = json!({
            "name": "n".repeat(200), "description": "d".repeat(10_000),
            "price": 1e11, "stockQuantity": 1_000_000_000,
        });
        // `1e11` is an integer in JSON Schema.
        assert_eq!(admin.post("/products", edges).await.number("/price"), 100_000_000_000);

        let wrong = [
            ("name", json!("")), ("name", json!(" ")), ("name", json!("n".repeat(201))),
            ("name", json!("a\nb")), ("name", json!(1)),
            ("description", json!("d".repeat(10_001))), ("description", json!("a\u{0}b")),
            ("price", json!(0)), ("price", json!(-1)), ("price", json!(100_000_000_001_i64)),
            ("price", json!(i64::MAX)), ("price", json!(u64::MAX)), ("price", json!(9.99)),
            ("price", json!("9.99")), ("price", json!(1e12)),
            ("stockQuantity", json!(-1)), ("stockQuantity", json!(1_000_000_001)),
            ("stockQuantity", json!(0.5)), ("stockQuantity", json!("many")),
            ("categoryId", json!("kitchen")), ("categoryId", json!(7)),
            ("categoryId", json!("01900000-0000-7000-8000-000000000000")),
            ("surprise", json!(true)),
        ];
        for (field, value) in wrong {
            let mut body = json!({ "name": "Pan", "price": 1 });
            body[field] = value.clone();
            let answer = admin.post("/products", body).await;
            assert_eq!(answer.status, 422, "{field} {value}: {answer:?}");
            answer.assert_invalid_field(field);
            let answer = patch_if(&admin, &pan, &tag, json!({ field: value })).await;
            assert_eq!(answer.status, 422, "{field} {value}: {answer:?}");
            answer.assert_invalid_field(field);
        }
        assert_eq!(get_with_etag(&shop, &pan).await.1, tag);
        assert_eq!(shop.anonymous().get("/products").await.number("/total"), 2);
    }

    async fn an_unchanged_product_is_not_sent_again(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let path = format!("/products/{kettle}");
        let (_, tag) = get_with_etag(&shop, &kettle).await;
        assert!(tag.starts_with('"'), "{tag} is strong");
        let get_unless_match = async |condition: &str| {
            let headers = [("if-none-match", condition)];
            shop.anonymous().call(Method::GET, &path, &headers, Value::Null).await
        };
        for known in [&tag, &format!("W/{tag}"), "*", &format!("\"other\", {tag}")] {
            let answer = get_unless_match(known).await;
            assert_eq!((answer.status, answer.body.len()), (304, 0), "{known}");
            assert_eq!(answer.header("etag"), Some(tag.as_str()));
        }
        assert_eq!(get_unless_match("\"other\"").await.status, 200);

        let admin = shop.admin().await;
        admin.patch(&path, json!({ "price": 1 })).await;
        assert_eq!(get_unless_match(&tag).await.status, 200, "it has changed");
    }

    async fn an_update_of_a_stale_version_is_refused(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let admin = shop.admin().await;
        let (_, tag) = get_with_etag(&shop, &kettle).await;

        let changed = patch_if(&admin, &kettle, &tag, json!({ "stockQuantity": 7 })).await;
        assert_eq!((changed.status, changed.number("/stockQuantity")), (200, 7));
        assert_eq!(changed.header("etag"), Some(get_with_etag(&shop, &kettle).await.1.as_str()));

        let weak = format!("W/{tag}");
        for stale in [tag.as_str(), "\"other\"", &weak] {
            patch_if(&admin, &kettle, stale, json!({ "price": 1 })).await
                .assert_problem(412, "precondition-failed");
            let path = format!("/products/{kettle}");
            admin.call(Method::DELETE, &path, &[("if-match", stale)], Value::Null).await
                .assert_problem(412, "precondition-failed");
        }
        assert_eq!(get_with_etag(&shop, &kettle).await.0.json(), changed.json());
        assert_eq!(patch_if(&admin, &kettle, "*", json!({ "price": 1 })).await.status, 200);
    }

    async fn setting_stock_requires_if_match(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let admin = shop.admin().await;
        let path = format!("/products/{kettle}");
        let blind = json!({ "stockQuantity": 7, "price": 1 });
        admin.patch(&path, blind).await.assert_problem(428, "precondition-required");
        assert_eq!(get_with_etag(&shop, &kettle).await.0.number("/price"), 129_900);
        // Other fields do not require it.
        assert_eq!(admin.patch(&path, json!({ "price": 1 })).await.status, 200);
        assert_eq!(shop.stock(&kettle).await, 5);
    }

    async fn one_of_fifty_concurrent_updates_succeeds(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let token = shop.admin().await.token.unwrap();
        let (_, tag) = get_with_etag(&shop, &kettle).await;
        let shop = Arc::new(shop);
        let mut all = tokio::task::JoinSet::new();
        for price in 1..=50 {
            let (shop, kettle) = (Arc::clone(&shop), kettle.clone());
            let (token, tag) = (token.clone(), tag.clone());
            all.spawn(async move {
                let admin = shop.bearer(&token);
                patch_if(&admin, &kettle, &tag, json!({ "price": price })).await
            });
        }
        let answers = all.join_all().await;
        let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|it| it.status == 200);
        assert_eq!((won.len(), lost.len()), (1, 49));
        for answer in lost {
            answer.assert_problem(412, "precondition-failed");
        }
        assert_eq!(get_with_etag(&shop, &kettle).await.0.json(), won[0].json());
    }

    async fn an_update_keeps_the_fields_that_it_omits(shop: TestShop) {
        let (kitchen, garden) = (category(&shop, "Kitchen").await, category(&shop, "Garden").await);
        let admin = shop.admin().await;
        let body = json!({
            "name": "Kettle", "description": "Boils.", "price": 5, "categoryId": kitchen,
        });
        let created = admin.post("/products", body).await;
        let path = format!("/products/{}", created.text("/id"));
        shop.advance_clock(std::time::Duration::from_secs(1));

        let moved = admin.patch(&path, json!({ "categoryId": garden })).await;
        assert_eq!(moved.text("/category/slug"), "garden");
        let mut expected = created.json();
        expected["categoryId"] = json!(garden);
        expected["category"] = moved.json()["category"].clone();
        expected["updatedAt"] = json!("2026-01-31T12:00:01.000Z");
        expected["variants"][0]["updatedAt"] = expected["updatedAt"].clone();
        assert_eq!(moved.json(), expected);

        let out = admin.patch(&path, json!({ "categoryId": null, "description": "" })).await;
        assert_eq!((&out.json()["categoryId"], out.text("/description")), (&Value::Null, String::new()));
        let counts = shop.anonymous().get("/categories").await.json();
        assert_eq!((&counts["data"][0]["productCount"], &counts["data"][1]["productCount"]),
            (&json!(0), &json!(0)));
    }

    async fn a_deleted_product_disappears_from_the_catalog_and_from_carts(shop: TestShop) {
        let kitchen = category(&shop, "Kitchen").await;
        let (admin, ada) = (shop.admin().await, shop.customer("ada").await);
        let kettle = shop.product("Kettle", 500, 5).await;
        let pan = shop.product("Pan", 300, 5).await;
        let path = format!("/products/{kettle}");
        admin.patch(&path, json!({ "categoryId": kitchen })).await;
        for product in [&kettle, &pan] {
            ada.post("/cart", json!({ "productId": product, "quantity": 2 })).await;
        }
        assert_eq!(ada.get("/cart").await.number("/totalAmount"), 1600);

        assert_eq!(admin.delete(&path).await.status, 204);
        let item = format!("/cart/items/{kettle}");
        let stock = json!({ "delta": 1, "reason": "found" });
        for gone in [
            shop.anonymous().get(&path).await,
            admin.delete(&path).await,
            admin.patch(&path, json!({ "price": 1 })).await,
            admin.post(&format!("/admin{path}/stock"), stock).await,
            ada.post("/cart", json!({ "productId": kettle })).await,
            ada.patch(&item, json!({ "quantity": 1 })).await,
            ada.delete(&item).await,
        ] {
            gone.assert_problem(404, "not-found");
        }
        let cart = ada.get("/cart").await;
        assert_eq!((cart.number("/totalAmount"), cart.number("/itemCount")), (600, 2));
        assert_eq!(shop.anonymous().get("/products").await.number("/total"), 1);
        let listed = shop.anonymous().get("/products?category=kitchen").await;
        assert_eq!((listed.number("/total"), &listed.json()["data"]), (0, &json!([])));
        let categories = shop.anonymous().get("/categories").await;
        assert_eq!(categories.number("/data/0/productCount"), 0);
        assert_eq!(admin.delete(&format!("/categories/{kitchen}")).await.status, 204);
    }

    async fn a_past_order_keeps_a_copy_of_its_products(shop: TestShop) {
        let kettle = shop.product("Kettle", 500, 5).await;
        let (admin, ada) = (shop.admin().await, shop.customer("ada").await);
        ada.post("/cart", json!({ "productId": kettle })).await;
        let order = ada.post("/orders", Value::Null).await;
        let path = format!("/products/{kettle}");
        admin.patch(&path, json!({ "name": "Teapot", "price": 900 })).await;
        admin.delete(&path).await;
        let kept = ada.get(&format!("/orders/{}", order.text("/id"))).await;
        assert_eq!(kept.json(), order.json());
        assert_eq!((kept.text("/items/0/name"), kept.number("/items/0/price")), ("Kettle".into(), 500));
    }

    async fn vowel_signs_are_not_accents(shop: TestShop) {
        let admin = shop.admin().await;
        for word in ["काला", "कला", "か", "が"] {
            let answer = admin.post("/categories", json!({ "name": word })).await;
            assert_eq!((answer.status, answer.text("/slug")), (201, word.to_owned()));
        }
    }

    async fn categories_are_created_renamed_and_deleted(shop: TestShop) {
        let admin = shop.admin().await;
        let created = admin.post("/categories", json!({ "name": "Café & Bar" })).await;
        assert_eq!(created.status, 201);
        snapshot!(created.json(), { ".id" => "[id]" }, @r#"
        {
          "id": "[id]",
          "name": "Café & Bar",
          "productCount": 0,
          "slug": "cafe-bar"
        }
        "#);
        // Names are unique ignoring case and accents; different names may have the same slug.
        for same in ["Café & Bar", "CAFE & BAR", "cafe\u{301}  & bar"] {
            let answer = admin.post("/categories", json!({ "name": same })).await;
            answer.assert_problem(409, "category-exists");
        }
        let twin = admin.post("/categories", json!({ "name": "Cafe-Bar" })).await;
        assert_eq!((twin.status, twin.text("/slug")), (201, "cafe-bar-2".to_owned()));

        let path = format!("/categories/{}", created.text("/id"));
        let renamed = admin.patch(&path, json!({ "name": "Zinc" })).await;
        assert_eq!((renamed.text("/name"), renamed.text("/slug")), ("Zinc".into(), "cafe-bar".into()));
        admin.patch(&path, json!({ "name": "cafe-bar" })).await.assert_problem(409, "category-exists");
        assert_eq!(admin.patch(&path, json!({ "name": "ZINC" })).await.status, 200, "its own name is not taken");

        let product = json!({ "name": "Cup", "price": 1, "categoryId": created.text("/id") });
        let cup = admin.post("/products", product).await;
        admin.delete(&path).await.assert_problem(409, "category-in-use");
        let listed = shop.anonymous().get("/categories").await.json();
        let counts: Vec<_> = listed["data"].as_array().unwrap().iter()
            .map(|it| (it["name"].as_str().unwrap(), it["productCount"].as_i64().unwrap()))
            .collect();
        assert_eq!(counts, [("Cafe-Bar", 0), ("ZINC", 1)]);

        admin.delete(&format!("/products/{}", cup.text("/id"))).await;
        assert_eq!(admin.delete(&path).await.status, 204);
        admin.delete(&path).await.assert_problem(404, "not-found");
        admin.patch(&path, json!({ "name": "Zinc" })).await.assert_problem(404, "not-found");
        for wrong in [json!(""), json!("n".repeat(201)), json!("a\tb"), json!(null)] {
            admin.post("/categories", json!({ "name": wrong })).await.assert_invalid_field("name");
        }
    }

    async fn stock_changes_by_a_delta(shop: TestShop) {
        let kettle = shop.product("Kettle", 500, 5).await;
        let admin = shop.admin().await;
        let path = format!("/admin/products/{kettle}/stock");
        let change = async |delta: Value| {
            admin.post(&path, json!({ "delta": delta, "reason": "counted" })).await
        };
        let more = change(json!(3)).await;
        assert_eq!((more.status, more.number("/stockQuantity")), (200, 8));
        assert_eq!(more.json(), get_with_etag(&shop, &kettle).await.0.json());
        assert_eq!(more.header("etag"), Some(get_with_etag(&shop, &kettle).await.1.as_str()));
        more.header("x-inventory-seq").unwrap().parse::<i64>().unwrap();
        assert_eq!(change(json!(-8)).await.number("/stockQuantity"), 0);
        change(json!(8)).await;

        let below = change(json!(-9)).await;
        below.assert_problem(409, "insufficient-stock");
        snapshot!(
            below.json(),
            { ".requestId" => "[request]", ".errors[0].productId" => "[id]" },
            @r#"
        {
          "code": "insufficient-stock",
          "detail": "not enough of `Kettle` (8 left, 9 requested); nothing was changed",
          "errors": [
            {
              "available": 8,
              "code": "insufficient-stock",
              "field": "delta",
              "message": "8 left, 9 requested",
              "productId": "[id]",
              "requested": 9
            }
          ],
          "requestId": "[request]",
          "status": 409,
          "title": "Not enough stock",
          "type": "/problems/insufficient-stock"
        }
        "#);
        for wrong in [
            json!(0), json!(1_000_000_001), json!(-1_000_000_001), json!(0.5), json!("1"),
            json!(999_999_993), json!(i64::MIN), json!(i64::MAX), json!(null),
        ] {
            change(wrong).await.assert_invalid_field("delta");
        }
        for wrong in [json!(""), json!("r".repeat(201)), json!("a\nb")] {
            admin.post(&path, json!({ "delta": 1, "reason": wrong })).await.assert_invalid_field("reason");
        }
        assert_eq!(shop.stock(&kettle).await, 8);
    }

    async fn a_stock_change_happens_once_per_idempotency_key(shop: TestShop) {
        let kettle = shop.product("Kettle", 500, 5).await;
        let path = format!("/admin/products/{kettle}/stock");
        let (admin, key) = (shop.admin().await, "delivery-17");
        let change = async |key: &str, delta: i64| {
            let body = json!({ "delta": delta, "reason": "delivery" });
            admin.call(Method::POST, &path, &[("idempotency-key", key)], body).await
        };
        // A refused request does not use up the key.
        change(key, -6).await.assert_problem(409, "insufficient-stock");
        let first = change(key, 3).await;
        assert_eq!((first.status, first.header("idempotent-replayed")), (200, None));
        for same in [key, "\"delivery-17\""] {
            let again = change(same, 3).await;
            assert_eq!((again.status, &again.body), (200, &first.body));
            assert_eq!(again.header("idempotent-replayed"), Some("true"));
            assert_eq!(again.header("etag"), first.header("etag"));
        }
        change(key, 4).await.assert_problem(422, "idempotency-key-reused");
        for wrong in ["", "\"\"", "a b", &"k".repeat(256)] {
            change(wrong, 1).await.assert_problem(400, "invalid-header");
        }
        let two = [("idempotency-key", "a"), ("idempotency-key", "b")];
        let body = json!({ "delta": 1, "reason": "delivery" });
        admin.call(Method::POST, &path, &two, body).await.assert_problem(400, "invalid-header");
        assert_eq!(shop.stock(&kettle).await, 8);
        assert_eq!(change(&"k".repeat(255), 1).await.number("/stockQuantity"), 9);

        let pan = shop.product("Pan", 500, 5).await;
        let other = format!("/admin/products/{pan}/stock");
        let body = json!({ "delta": 3, "reason": "delivery" });
        let answer = admin.call(Method::POST, &other, &[("idempotency-key", key)], body).await;
        assert_eq!(answer.number("/stockQuantity"), 8, "a key belongs to its path");
    }
}
