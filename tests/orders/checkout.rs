//! Checkout: all or nothing.

use super::*;

storage_test! {
    async fn an_empty_cart_cannot_be_ordered(shop: TestShop) {
        let ada = shop.customer("ada").await;
        ada.checkout().await.assert_problem(409, "cart-empty");
        let kettle = shop.product("Kettle", 129_900, 5).await;
        ada.add_to_cart(&kettle, 1).await;
        shop.admin().await.delete(&format!("/products/{kettle}")).await;
        ada.checkout().await.assert_problem(409, "cart-empty");
    }

    async fn the_body_of_a_checkout_is_optional(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 50).await;
        let ada = shop.customer("ada").await;
        for body in [Value::Null, json!({}), json!({ "expectedTotal": 129_900 })] {
            ada.add_to_cart(&kettle, 1).await;
            assert_eq!(ada.post("/orders", body).await.status, 201);
        }
        ada.add_to_cart(&kettle, 1).await;
        for body in ["{", "{} {}", "\u{feff}{", "expectedTotal=1"] {
            let kind = [("content-type", "application/json")];
            let refused = ada.raw(Method::POST, "/orders", &kind, body).await;
            refused.assert_problem(400, "malformed-json");
        }
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let refused = ada.raw(Method::POST, "/orders", &form, "expectedTotal=1").await;
        refused.assert_problem(415, "unsupported-media-type");
        let query = ada.post("/orders?dry=1", Value::Null).await;
        query.assert_problem(400, "invalid-query");
        assert_eq!(ada.get("/cart").await.number("/itemCount"), 1);
    }

    async fn an_order_keeps_the_sku_of_the_purchase(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 50).await;
        let pan = shop.product("Pan", 5_000, 50).await;
        let (admin, ada) = (shop.admin().await, shop.customer("ada").await);
        admin.patch(&format!("/variants/{kettle}"), json!({ "sku": "KET" })).await;
        ada.add_to_cart(&pan, 1).await;
        ada.add_to_cart(&kettle, 2).await;
        let placed = ada.checkout().await;
        admin.patch(&format!("/variants/{kettle}"), json!({ "sku": "KET-2" })).await;
        let order = ada.get(&format!("/orders/{}", placed.text("/id"))).await.json();
        assert_eq!(order["items"], placed.json()["items"]);
        let items = order["items"].as_array().unwrap();
        for (variant, sku) in [(&kettle, json!("KET")), (&pan, Value::Null)] {
            let item = items.iter().find(|item| item["variantId"] == json!(variant)).unwrap();
            assert_eq!((&item["productId"], &item["sku"]), (&json!(variant), &sku));
            assert_eq!((&item["title"], &item["options"]), (&json!(""), &json!([])));
        }
        assert_ne!(items[0]["id"], items[1]["id"]);
    }

    async fn the_client_cannot_set_the_total(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let ada = shop.customer("ada").await;
        ada.add_to_cart(&kettle, 2).await;
        let before = shop.raw_db().dump();
        for other in [0, 1, 259_799, 259_801, (1_i64 << 53) - 1] {
            let refused = ada.post("/orders", json!({ "expectedTotal": other })).await;
            refused.assert_problem(409, "total-changed");
        }
        for nonsense in [json!(-1), json!(1_i64 << 53), json!(i64::MAX), json!(1.5), json!("259800"),
            json!(1e300)]
        {
            let refused = ada.post("/orders", json!({ "expectedTotal": nonsense })).await;
            refused.assert_invalid_field("expectedTotal");
        }
        for own in ["price", "total", "totalAmount", "id", "userId", "status", "items"] {
            let refused = ada.post("/orders", json!({ own: 1 })).await;
            refused.assert_invalid_field(own);
        }
        assert_eq!(shop.raw_db().dump(), before);
        let placed = ada.post("/orders", json!({ "expectedTotal": 259_800 })).await;
        assert_eq!(placed.number("/totalAmount"), 259_800);
    }

    async fn a_changed_price_is_refused_with_an_expected_total(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let ada = shop.customer("ada").await;
        ada.add_to_cart(&kettle, 1).await;
        let product = format!("/products/{kettle}");
        shop.admin().await.patch(&product, json!({ "price": 135_000 })).await;
        let refused = ada.post("/orders", json!({ "expectedTotal": 129_900 })).await;
        refused.assert_problem(409, "total-changed");
        let placed = ada.checkout().await;
        assert_eq!(placed.number("/items/0/price"), 135_000);
        assert_eq!(placed.number("/totalAmount"), 135_000);
    }

    async fn insufficient_stock_lists_every_line(shop: TestShop) {
        let admin = shop.admin().await;
        let ada = shop.customer("ada").await;
        let mut products = Vec::new();
        for name in ["Kettle", "Mug", "Plate"] {
            let product = shop.product(name, 129_900, 9).await;
            shop.advance_clock(MINUTE);
            ada.add_to_cart(&product, 4).await;
            products.push(product);
        }
        for (product, delta) in [(&products[0], -8), (&products[2], -9)] {
            let change = json!({ "delta": delta, "reason": "broken" });
            let answer = admin.post(&format!("/admin/products/{product}/stock"), change).await;
            assert_eq!(answer.status, 200);
        }
        let before = shop.raw_db().dump();
        let refused = ada.checkout().await;
        refused.assert_problem(409, "insufficient-stock");
        let errors = refused.json()["errors"].clone();
        assert_eq!(errors[0]["productId"], json!(products[0]));
        assert_eq!(errors[1]["productId"], json!(products[2]));
        snapshot!(refused.json(), {
            ".requestId" => "[request]",
            ".errors[].productId" => "[product]",
        }, @r#"
        {
          "code": "insufficient-stock",
          "detail": "not enough of `Kettle` (1 left, 4 requested), `Plate` (0 left, 4 requested); nothing was changed",
          "errors": [
            {
              "available": 1,
              "code": "insufficient-stock",
              "field": "items[0].quantity",
              "message": "1 left, 4 requested",
              "productId": "[product]",
              "requested": 4
            },
            {
              "available": 0,
              "code": "insufficient-stock",
              "field": "items[2].quantity",
              "message": "0 left, 4 requested",
              "productId": "[product]",
              "requested": 4
            }
          ],
          "requestId": "[request]",
          "status": 409,
          "title": "Not enough stock",
          "type": "/problems/insufficient-stock"
        }
        "#);
        assert_eq!(shop.raw_db().dump(), before);
    }

    async fn a_failed_write_rolls_everything_back(shop: TestShop) {
        let (kettle, mug) =
            (shop.product("Kettle", 129_900, 5).await, shop.product("Mug", 30_000, 9).await);
        let ada = shop.customer("ada").await;
        ada.add_to_cart(&kettle, 2).await;
        ada.add_to_cart(&mug, 3).await;
        let cart = ada.get("/cart").await.body;
        let raw = shop.raw_db();
        let events = match shop.engine {
            Engine::Sqlite => "events",
            Engine::Postgres => "fresh_events",
        };
        let steps = [
            "orders", "order_lines", "payments", "stock_movements", events, "idempotency_answers",
        ];
        for step in steps {
            raw.break_table(step);
            let before = raw.dump();
            let failed = ada.checkout_with_key("one-try").await;
            failed.assert_problem(500, "internal");
            let words = failed.text("/detail");
            assert!(!words.contains("broken") && !words.contains(step), "{words}");
            assert_eq!(raw.dump(), before, "{step}");
            assert_eq!(ada.get("/cart").await.body, cart);
            raw.repair_table(step);
        }
        assert_eq!(ada.checkout_with_key("one-try").await.status, 201);
        raw.assert_invariants();
    }

    async fn a_failed_checkout_fails_no_other(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 50).await;
        let cursed = shop.product("Cursed Mug", 30_000, 50).await;
        let names: Vec<String> = (0..20).map(|n| format!("customer{n}")).collect();
        let mut customers = Vec::new();
        for (number, name) in names.iter().enumerate() {
            let customer = shop.customer(name).await;
            customer.add_to_cart(if number % 5 == 2 { &cursed } else { &kettle }, 1).await;
            customers.push(customer);
        }
        shop.raw_db().roll_back_at("order_lines", "NEW.name = 'Cursed Mug'");
        let answers =
            futures_util::future::join_all(customers.iter().map(Client::checkout)).await;
        for (number, answer) in answers.iter().enumerate() {
            let expected = if number % 5 == 2 { 500 } else { 201 };
            assert_eq!(answer.status, expected, "{answer:?}");
        }
        assert_eq!((shop.stock(&kettle).await, shop.stock(&cursed).await), (34, 50));
        shop.raw_db().assert_invariants();
    }

    async fn five_hundred_customers_buy_ten_items(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 10).await;
        let names: Vec<String> = (0..500).map(|n| format!("customer{n}")).collect();
        let customers =
            futures_util::future::join_all(names.iter().map(|name| shop.customer(name))).await;
        futures_util::future::join_all(customers.iter().map(|one| one.add_to_cart(&kettle, 1))).await;

        let answers =
            futures_util::future::join_all(customers.iter().map(Client::checkout)).await;
        let placed = answers.iter().filter(|answer| answer.status == 201).count();
        assert_eq!(placed, 10);
        for refused in answers.iter().filter(|answer| answer.status != 201) {
            refused.assert_problem(409, "insufficient-stock");
        }
        assert_eq!(shop.stock(&kettle).await, 0);
        assert_eq!(shop.raw_db().number("SELECT count(*) FROM orders"), 10);
        assert_eq!(shop.raw_db().number("SELECT count(*) FROM cart_lines"), 490);
        shop.raw_db().assert_invariants();
    }

    async fn orders_of_several_products_do_not_deadlock(shop: TestShop) {
        let (kettle, mug) =
            (shop.product("Kettle", 129_900, 40).await, shop.product("Mug", 30_000, 40).await);
        let names: Vec<String> = (0..60).map(|n| format!("customer{n}")).collect();
        let mut customers = Vec::new();
        for (number, name) in names.iter().enumerate() {
            let customer = shop.customer(name).await;
            let (first, second) = if number % 2 == 0 { (&kettle, &mug) } else { (&mug, &kettle) };
            customer.add_to_cart(first, 1).await;
            customer.add_to_cart(second, 1).await;
            customers.push(customer);
        }
        let answers =
            futures_util::future::join_all(customers.iter().map(Client::checkout)).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 40);
        assert_eq!(answers.iter().filter(|answer| answer.status == 409).count(), 20);
        assert_eq!((shop.stock(&kettle).await, shop.stock(&mug).await), (0, 0));
        shop.raw_db().assert_invariants();
    }
}
