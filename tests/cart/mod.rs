//! Carts: one for each customer, kept until ordered, at current prices.

mod guests;

use serde_json::{Value, json};

use crate::support::{Client, Form, TestShop, images, snapshot, storage_test};

async fn add(client: &Client<'_>, product: &str, quantity: i64) -> crate::support::TestResponse {
    let body = json!({ "productId": product, "quantity": quantity });
    client.post("/cart", body).await
}

async fn set(client: &Client<'_>, product: &str, quantity: i64) -> crate::support::TestResponse {
    let body = json!({ "quantity": quantity });
    client.patch(&format!("/cart/items/{product}"), body).await
}

/// Returns the names and quantities in the cart.
async fn contents(client: &Client<'_>) -> Vec<(String, i64)> {
    let cart = client.get("/cart").await.json();
    let items = cart["items"].as_array().unwrap().iter();
    let pair = |item: &Value| {
        let name = item["product"]["name"].as_str().unwrap().to_owned();
        (name, item["quantity"].as_i64().unwrap())
    };
    items.map(pair).collect()
}

async fn create_products(shop: &TestShop, count: usize, price: i64, stock: i64) -> Vec<String> {
    let mut products = Vec::with_capacity(count);
    for n in 0..count {
        products.push(shop.product(&format!("P{n}"), price, stock).await);
    }
    products
}

storage_test! {
    async fn every_cart_has_the_position_in_the_live_inventory(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let ada = shop.customer("ada").await;
        let item = format!("/cart/items/{kettle}");
        shop.app.bus.watch().wait_for(|published| *published == 1).await.unwrap();
        let carts = [
            add(&ada, &kettle, 2).await,
            ada.patch(&item, json!({ "quantity": 1 })).await,
            ada.get("/cart").await,
            ada.delete(&item).await,
            ada.delete("/cart").await,
        ];
        for cart in carts {
            assert_eq!((cart.status, cart.header("x-inventory-seq")), (200, Some("1")));
        }
    }

    async fn a_cart_is_stored_and_priced(shop: TestShop) {
        let form = Form::default()
            .text("name", "Kettle").text("price", "129900").text("stockQuantity", "5")
            .image(&images::png());
        let kettle = shop.admin().await.upload(http::Method::POST, "/products", &[], form).await;
        let pan = shop.product("Pan", 5_000, 9).await;
        let ada = shop.customer("ada").await;

        let cart = add(&ada, &kettle.text("/id"), 2).await;
        assert_eq!((cart.status, cart.number("/totalAmount")), (200, 259_800));
        shop.advance_clock(std::time::Duration::from_secs(1));
        let cart = ada.post("/cart", json!({ "productId": pan })).await;
        assert_eq!(cart.status, 200);
        snapshot!(
            cart.json(),
            { ".items[].id" => "[id]", ".items[].*.id" => "[id]", ".**.images[].id" => "[id]", ".**.url" => "[url]" },
            @r#"
        {
          "currency": "INR",
          "itemCount": 3,
          "items": [
            {
              "id": "[id]",
              "lineTotal": 259800,
              "product": {
                "id": "[id]",
                "images": [
                  {
                    "contentType": "image/png",
                    "height": 4,
                    "id": "[id]",
                    "url": "[url]",
                    "width": 6
                  }
                ],
                "name": "Kettle",
                "price": 129900,
                "stockQuantity": 5
              },
              "quantity": 2,
              "unitPrice": 129900,
              "variant": {
                "id": "[id]",
                "options": [],
                "sku": null,
                "title": ""
              }
            },
            {
              "id": "[id]",
              "lineTotal": 5000,
              "product": {
                "id": "[id]",
                "images": [],
                "name": "Pan",
                "price": 5000,
                "stockQuantity": 9
              },
              "quantity": 1,
              "unitPrice": 5000,
              "variant": {
                "id": "[id]",
                "options": [],
                "sku": null,
                "title": ""
              }
            }
          ],
          "totalAmount": 264800
        }
        "#);
        assert_eq!(ada.get("/cart").await.json(), cart.json());

        let token = ada.token.clone().unwrap();
        let shop = shop.restarted().await;
        assert_eq!(shop.bearer(&token).get("/cart").await.json(), cart.json());
    }

    async fn items_are_added_changed_and_removed(shop: TestShop) {
        let kettle = shop.product("Kettle", 500, 9).await;
        let pan = shop.product("Pan", 300, 9).await;
        let ada = shop.customer("ada").await;
        let empty = ada.get("/cart").await;
        snapshot!(empty.json(), @r#"
        {
          "currency": "INR",
          "itemCount": 0,
          "items": [],
          "totalAmount": 0
        }
        "#);

        add(&ada, &kettle, 2).await;
        assert_eq!(add(&ada, &kettle, 3).await.number("/totalAmount"), 2_500);
        shop.advance_clock(std::time::Duration::from_secs(1));
        add(&ada, &pan, 1).await;
        assert_eq!(set(&ada, &kettle, 1).await.number("/totalAmount"), 800);
        assert_eq!(contents(&ada).await, [("Kettle".to_owned(), 1), ("Pan".to_owned(), 1)]);

        let path = format!("/cart/items/{kettle}");
        let cart = ada.delete(&path).await;
        assert_eq!((cart.status, cart.number("/totalAmount")), (200, 300));
        ada.delete(&path).await.assert_problem(404, "not-found");
        set(&ada, &kettle, 1).await.assert_problem(404, "not-found");

        for _ in 0..2 {
            let cart = ada.delete("/cart").await;
            assert_eq!((cart.status, cart.json()), (200, empty.json()));
        }
    }

    async fn a_variant_is_added_by_its_id_or_that_of_its_product(shop: TestShop) {
        let mug = shop.product("Mug", 500, 9).await;
        shop.admin().await.patch(&format!("/variants/{mug}"), json!({ "sku": "MUG" })).await;
        let ada = shop.customer("ada").await;
        add(&ada, &mug, 1).await;
        let cart = ada.post("/cart", json!({ "variantId": mug, "quantity": 2 })).await;
        assert_eq!(cart.json()["items"].as_array().map(Vec::len), Some(1), "{cart:?}");
        let item = &cart.json()["items"][0];
        assert_eq!(item["variant"], json!({ "id": mug, "sku": "MUG", "title": "", "options": [] }));
        assert_eq!((&item["id"], &item["quantity"], &item["unitPrice"]), (&json!(mug), &json!(3), &json!(500)));
        for body in [json!({ "quantity": 1 }), json!({ "productId": mug, "variantId": mug })] {
            ada.post("/cart", body).await.assert_invalid_field("productId");
        }
        let unknown = shop.app.rng.uuid(shop.app.clock.now());
        ada.post("/cart", json!({ "variantId": unknown })).await.assert_problem(404, "not-found");
    }

    async fn a_cart_shows_current_prices_and_stock(shop: TestShop) {
        let kettle = shop.product("Kettle", 500, 9).await;
        let ada = shop.customer("ada").await;
        add(&ada, &kettle, 4).await;
        let admin = shop.admin().await;
        admin.patch(&format!("/products/{kettle}"), json!({ "price": 700, "name": "Pot" })).await;
        let stock = json!({ "delta": -7, "reason": "broken" });
        admin.post(&format!("/admin/products/{kettle}/stock"), stock).await;

        let cart = ada.get("/cart").await;
        assert_eq!(cart.number("/totalAmount"), 2_800);
        assert_eq!(cart.number("/items/0/product/stockQuantity"), 2);
        assert_eq!(contents(&ada).await, [("Pot".to_owned(), 4)]);
        // A quantity can always be reduced, even to one above the stock, but not increased.
        assert_eq!(set(&ada, &kettle, 4).await.number("/totalAmount"), 2_800);
        assert_eq!(set(&ada, &kettle, 3).await.number("/totalAmount"), 2_100);
        set(&ada, &kettle, 4).await.assert_problem(409, "insufficient-stock");
        add(&ada, &kettle, 1).await.assert_problem(409, "insufficient-stock");
        assert_eq!(set(&ada, &kettle, 2).await.number("/totalAmount"), 1_400);
    }

    async fn a_cart_above_the_largest_total_can_be_reduced(shop: TestShop) {
        let products = create_products(&shop, 91, 1, 2000).await;
        let ada = shop.customer("ada").await;
        for product in &products {
            assert_eq!(add(&ada, product, 1000).await.status, 200);
        }
        // An admin may raise one price after the other.
        shop.raw_db().run("UPDATE products SET price = 100000000000");
        let cart = ada.get("/cart").await;
        assert_eq!((cart.status, cart.number("/totalAmount")), (200, 9_007_199_254_740_991));
        assert_eq!(cart.json()["totalIsCapped"], true);
        assert_eq!(cart.number("/items/0/lineTotal"), 100_000_000_000_000);
        ada.checkout().await.assert_problem(409, "total-out-of-range");
        ada.checkout_with_key("key-1").await.assert_problem(409, "total-out-of-range");
        let expected = json!({ "expectedTotal": 9_007_199_254_740_991_i64 });
        ada.post("/orders", expected).await.assert_problem(409, "total-out-of-range");

        let smaller = set(&ada, &products[0], 999).await;
        assert_eq!((smaller.status, &smaller.json()["totalIsCapped"]), (200, &json!(true)));
        assert_eq!(set(&ada, &products[0], 999).await.status, 200);
        set(&ada, &products[0], 1000).await.assert_invalid_field("totalAmount");
        add(&ada, &products[0], 1).await.assert_invalid_field("totalAmount");
        let rest = ada.delete(&format!("/cart/items/{}", products[0])).await;
        assert_eq!((rest.status, rest.number("/totalAmount")), (200, 9_000_000_000_000_000));
        assert_eq!(rest.json().get("totalIsCapped"), None);
        assert_eq!(ada.checkout().await.number("/totalAmount"), 9_000_000_000_000_000);
    }

    async fn a_quantity_is_between_one_and_a_thousand(shop: TestShop) {
        let kettle = shop.product("Kettle", 500, 5_000).await;
        let ada = shop.customer("ada").await;
        add(&ada, &kettle, 7).await;
        for wrong in [
            json!(0), json!(-1), json!(1.5), json!(1e9), json!(1_000_000_000),
            json!(1001), json!(i64::MAX), json!(i64::MIN), json!(u64::MAX), json!("2"),
            json!(true), json!(null), json!([1]), json!({ "is": 1 }),
        ] {
            let body = json!({ "productId": kettle, "quantity": wrong });
            let answer = ada.post("/cart", body).await;
            assert_eq!(answer.status, 422, "{wrong}: {answer:?}");
            answer.assert_invalid_field("quantity");
            let path = format!("/cart/items/{kettle}");
            ada.patch(&path, json!({ "quantity": wrong })).await.assert_invalid_field("quantity");
        }
        ada.patch(&format!("/cart/items/{kettle}"), json!({})).await.assert_invalid_field("quantity");
        ada.post("/cart", json!({})).await.assert_invalid_field("productId");
        ada.post("/cart", json!({ "productId": "kettle" })).await.assert_invalid_field("productId");
        let huge = br#"{"quantity":99999999999999999999999999}"#;
        let json = [("content-type", "application/json")];
        let path = format!("/cart/items/{kettle}");
        ada.raw(http::Method::PATCH, &path, &json, &huge[..]).await.assert_invalid_field("quantity");
        let same = ada.patch(&path, json!({ "quantity": 7.0 })).await;
        assert_eq!(same.number("/itemCount"), 7, "a whole number, as JSON Schema counts");

        add(&ada, &kettle, 994).await.assert_invalid_field("quantity");
        assert_eq!(contents(&ada).await, [("Kettle".to_owned(), 7)]);
        assert_eq!(add(&ada, &kettle, 993).await.number("/itemCount"), 1000);
        add(&ada, &kettle, 1).await.assert_invalid_field("quantity");
        assert_eq!(set(&ada, &kettle, 1).await.number("/itemCount"), 1);
    }

    async fn a_total_above_the_largest_amount_is_refused(shop: TestShop) {
        // 90 lines of 10^14 fit below 2^53; one more does not.
        let products = create_products(&shop, 91, 100_000_000_000, 1000).await;
        let ada = shop.customer("ada").await;
        for product in &products[..90] {
            assert_eq!(add(&ada, product, 1000).await.status, 200);
        }
        let full = ada.get("/cart").await;
        assert_eq!(full.number("/totalAmount"), 9_000_000_000_000_000);
        add(&ada, &products[90], 1000).await.assert_invalid_field("totalAmount");
        assert_eq!(ada.get("/cart").await.json(), full.json());
        // Another 71 stay below 2^53 - 1.
        assert_eq!(add(&ada, &products[90], 71).await.status, 200);
        set(&ada, &products[90], 72).await.assert_invalid_field("totalAmount");
    }

    async fn a_cart_has_at_most_a_hundred_lines(shop: TestShop) {
        let products = create_products(&shop, 101, 5, 2).await;
        let ada = shop.customer("ada").await;
        for product in &products[..100] {
            assert_eq!(add(&ada, product, 1).await.status, 200);
        }
        add(&ada, &products[100], 1).await.assert_invalid_field("productId");
        assert_eq!(add(&ada, &products[0], 1).await.number("/itemCount"), 101, "a line it has");
        ada.delete(&format!("/cart/items/{}", products[0])).await;
        assert_eq!(add(&ada, &products[100], 1).await.number("/itemCount"), 100);
    }

    async fn a_quantity_above_the_stock_is_refused(shop: TestShop) {
        let kettle = shop.product("Kettle", 500, 3).await;
        let none = shop.product("Sold out", 500, 0).await;
        let ada = shop.customer("ada").await;
        add(&ada, &none, 1).await.assert_problem(409, "insufficient-stock");
        add(&ada, &kettle, 4).await.assert_problem(409, "insufficient-stock");
        assert_eq!(contents(&ada).await, []);

        assert_eq!(add(&ada, &kettle, 3).await.status, 200);
        let answer = add(&ada, &kettle, 1).await;
        answer.assert_problem(409, "insufficient-stock");
        assert_eq!(
            answer.text("/detail"),
            "not enough of `Kettle` (3 left, 4 requested); nothing was changed"
        );
        assert_eq!(
            answer.json()["errors"],
            json!([{
                "field": "quantity", "code": "insufficient-stock", "productId": kettle,
                "requested": 4, "available": 3, "message": "3 left, 4 requested",
            }])
        );
        set(&ada, &kettle, 4).await.assert_problem(409, "insufficient-stock");
        assert_eq!(contents(&ada).await, [("Kettle".to_owned(), 3)]);
        // A cart reserves nothing.
        assert_eq!(shop.stock(&kettle).await, 3);
        assert_eq!(add(&shop.customer("bob").await, &kettle, 3).await.status, 200);
    }

    async fn unknown_products_are_not_found(shop: TestShop) {
        let ada = shop.customer("ada").await;
        let unknown = "01900000-0000-7000-8000-000000000000";
        let pan = shop.product("Pan", 500, 3).await;
        add(&ada, unknown, 1).await.assert_problem(404, "not-found");
        for product in [unknown, "not-an-id", &pan] {
            set(&ada, product, 1).await.assert_problem(404, "not-found");
            ada.delete(&format!("/cart/items/{product}")).await.assert_problem(404, "not-found");
        }
    }

    async fn each_customer_has_one_cart(shop: TestShop) {
        let kettle = shop.product("Kettle", 500, 9).await;
        let (ada, bob) = (shop.customer("ada").await, shop.customer("bob").await);
        add(&ada, &kettle, 2).await;
        add(&bob, &kettle, 1).await;
        // Another session of the same user has the same cart.
        let elsewhere = shop.customer("ada").await;
        assert_ne!(elsewhere.token, ada.token);
        add(&elsewhere, &kettle, 1).await;
        assert_eq!(contents(&ada).await, [("Kettle".to_owned(), 3)]);

        bob.delete("/cart").await;
        assert_eq!(contents(&bob).await, []);
        assert_eq!(contents(&ada).await, [("Kettle".to_owned(), 3)]);
        shop.anonymous().get("/cart").await.assert_problem(401, "unauthorized");
    }

    async fn concurrent_additions_all_count(shop: TestShop) {
        let kettle = shop.product("Kettle", 500, 5).await;
        let token = shop.customer("ada").await.token.unwrap();
        let shop = std::sync::Arc::new(shop);
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (shop, token) = (std::sync::Arc::clone(&shop), token.clone());
            let kettle = kettle.clone();
            all.spawn(async move { add(&shop.bearer(&token), &kettle, 1).await.status });
        }
        let mut statuses = all.join_all().await;
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 200, 200, 200, 200, 409, 409, 409]);
        assert_eq!(contents(&shop.bearer(&token)).await, [("Kettle".to_owned(), 5)]);
    }
}
