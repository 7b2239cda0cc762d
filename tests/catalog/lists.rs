//! Product lists: filters, sort orders and pages.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{TestResponse, TestShop, snapshot, storage_test};

pub(super) fn names(answer: &TestResponse) -> Vec<String> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let json = answer.json();
    let data = json["data"].as_array().unwrap().iter();
    data.map(|it| it["name"].as_str().unwrap().to_owned())
        .collect()
}

/// Creates six products, one second apart, and two categories; returns the ids of the categories.
async fn seed_products(shop: &TestShop) -> [String; 2] {
    let admin = shop.admin().await;
    let mut ids = Vec::new();
    for name in ["Kitchen", "Garden"] {
        ids.push(
            admin
                .post("/categories", json!({ "name": name }))
                .await
                .text("/id"),
        );
    }
    let [kitchen, garden] = [&ids[0], &ids[1]].map(|id| json!(id));
    for (name, price, stock, category) in [
        ("kettle", 500, 5, &kitchen),
        ("Étagère", 900, 0, &kitchen),
        ("Anvil", 900, 2, &Value::Null),
        ("apron", 100, 0, &kitchen),
        ("Spade", 300, 1, &garden),
        ("Zinc can", 500, 7, &garden),
    ] {
        let created = admin
            .post(
                "/products",
                json!({
                    "name": name, "price": price, "stockQuantity": stock, "categoryId": category,
                }),
            )
            .await;
        assert_eq!(created.status, 201);
        shop.advance_clock(Duration::from_secs(1));
    }
    [ids[0].clone(), ids[1].clone()]
}

storage_test! {
    async fn a_filtered_total_reflects_changes(shop: TestShop) {
        let [kitchen, garden] = seed_products(&shop).await;
        let admin = shop.admin().await;
        let kettle = {
            let listed = shop.anonymous().get("/products?category=kitchen&sort=-name&limit=1").await;
            listed.text("/data/0/id")
        };
        let path = format!("/products/{kettle}");
        let totals = async |expected: [i64; 4]| {
            for (query, expected) in [
                "category=kitchen&minPrice=500",
                "category=kitchen&maxPrice=500",
                "category=garden&minPrice=500&maxPrice=600",
                "minPrice=500",
            ].iter().zip(expected) {
                let listed = shop.anonymous().get(&format!("/products?{query}")).await;
                assert_eq!(listed.number("/total"), expected, "{query}");
                assert_eq!(names(&listed).len(), usize::try_from(expected).unwrap(), "{query}");
            }
        };
        totals([2, 2, 1, 4]).await;
        admin.patch(&path, json!({ "price": 499 })).await;
        totals([1, 2, 1, 3]).await;
        admin.patch(&path, json!({ "price": 600, "categoryId": garden })).await;
        totals([1, 1, 2, 4]).await;
        admin.patch(&path, json!({ "categoryId": null })).await;
        totals([1, 1, 1, 4]).await;
        admin.patch(&path, json!({ "price": 500, "categoryId": kitchen })).await;
        totals([2, 2, 1, 4]).await;
        assert_eq!(admin.delete(&path).await.status, 204);
        totals([1, 1, 1, 3]).await;
        let nothing = shop.anonymous().get("/products?category=kitchen&minPrice=9&maxPrice=8").await;
        assert_eq!(nothing.number("/total"), 0);
    }

    async fn all_filters_apply_together(shop: TestShop) {
        let [kitchen, _] = seed_products(&shop).await;
        let unknown = "01900000-0000-7000-8000-000000000000";
        for (query, expected) in [
            ("category=kitchen", vec!["apron", "Étagère", "kettle"]),
            (&format!("category={kitchen}"), vec!["apron", "Étagère", "kettle"]),
            ("category=cellar", vec![]),
            (&format!("category={unknown}"), vec![]),
            ("category=' OR 1=1 --", vec![]),
            ("category=%00", vec![]),
            ("minPrice=500", vec!["Zinc can", "Anvil", "Étagère", "kettle"]),
            ("maxPrice=300", vec!["Spade", "apron"]),
            ("minPrice=300&maxPrice=500", vec!["Zinc can", "Spade", "kettle"]),
            ("minPrice=600&maxPrice=500", vec![]),
            ("inStock=true", vec!["Zinc can", "Spade", "Anvil", "kettle"]),
            ("inStock=false", vec!["apron", "Étagère"]),
            ("category=kitchen&minPrice=200&inStock=false", vec!["Étagère"]),
            ("category=garden&maxPrice=400&inStock=true&sort=price&limit=1", vec!["Spade"]),
        ] {
            let query = query.replace(' ', "%20");
            let listed = shop.anonymous().get(&format!("/products?{query}")).await;
            assert_eq!(names(&listed), expected, "{query}");
            assert_eq!(listed.number("/total"), i64::try_from(expected.len()).unwrap(), "{query}");
            assert!(listed.header("x-inventory-seq").is_some());
        }
    }

    async fn a_list_is_sorted(shop: TestShop) {
        seed_products(&shop).await;
        let by_time = ["kettle", "Étagère", "Anvil", "apron", "Spade", "Zinc can"];
        let by_price = ["apron", "Spade", "kettle", "Zinc can", "Étagère", "Anvil"];
        let by_name = ["Anvil", "apron", "Étagère", "kettle", "Spade", "Zinc can"];
        for (sort, up) in [("createdAt", by_time), ("price", by_price), ("name", by_name)] {
            let listed = shop.anonymous().get(&format!("/products?sort={sort}")).await;
            assert_eq!(names(&listed), up);
            let mut down = up;
            down.reverse();
            let listed = shop.anonymous().get(&format!("/products?sort=-{sort}")).await;
            assert_eq!(names(&listed), down, "-{sort}: ties go by id, downwards too");
        }
        let default = shop.anonymous().get("/products").await;
        let newest = shop.anonymous().get("/products?sort=-createdAt").await;
        assert_eq!(default.json(), newest.json());
    }

    async fn a_list_is_paginated(shop: TestShop) {
        let admin = shop.admin().await;
        for n in 1..=7 {
            admin.post("/products", json!({ "name": format!("P{n}"), "price": 10 })).await;
        }
        let mut seen = Vec::new();
        for page in 1..=3 {
            let path = format!("/products?sort=price&limit=3&page={page}");
            let listed = shop.anonymous().get(&path).await;
            let json = listed.json();
            assert_eq!(
                (&json["page"], &json["limit"], &json["total"], &json["totalPages"]),
                (&json!(page), &json!(3), &json!(7), &json!(3))
            );
            assert_eq!(json.get("totalIsCapped"), None);
            seen.extend(names(&listed));
        }
        seen.sort();
        assert_eq!(seen, ["P1", "P2", "P3", "P4", "P5", "P6", "P7"], "no product is skipped or repeated");

        let link = async |query: &str| {
            let listed = shop.anonymous().get(&format!("/products?{query}")).await;
            listed.header("link").unwrap().to_owned()
        };
        assert_eq!(
            link("sort=price&page=2&limit=3").await,
            "</api/v1/products?sort=price&limit=3&page=1>; rel=\"first\", \
             </api/v1/products?sort=price&limit=3&page=3>; rel=\"last\", \
             </api/v1/products?sort=price&limit=3&page=1>; rel=\"prev\", \
             </api/v1/products?sort=price&limit=3&page=3>; rel=\"next\""
        );
        let first = link("limit=3").await;
        assert!(first.contains("rel=\"next\"") && !first.contains("rel=\"prev\""), "{first}");
        let last = link("limit=3&page=3").await;
        assert!(last.contains("rel=\"prev\"") && !last.contains("rel=\"next\""), "{last}");

        let past = shop.anonymous().get("/products?limit=3&page=4").await;
        assert_eq!((past.number("/total"), names(&past).len()), (7, 0));
        let far = shop.anonymous().get("/products?limit=100&page=1000000000").await;
        assert_eq!((far.number("/total"), names(&far).len()), (7, 0));
        let unfiltered = shop.anonymous().get("/products").await;
        assert_eq!((unfiltered.number("/page"), unfiltered.number("/limit"), unfiltered.number("/totalPages")), (1, 20, 1));
    }

    async fn an_empty_catalog_is_an_empty_page(shop: TestShop) {
        let listed = shop.anonymous().get("/products").await;
        snapshot!(listed.json(), @r#"
        {
          "data": [],
          "limit": 20,
          "page": 1,
          "total": 0,
          "totalPages": 0
        }
        "#);
        assert_eq!(
            listed.header("link"),
            Some("</api/v1/products?page=1>; rel=\"first\", </api/v1/products?page=1>; rel=\"last\"")
        );
    }

    async fn link_headers_stay_below_the_limits_of_proxies(shop: TestShop) {
        for n in 0..5 {
            shop.product(&format!("Kettle {n}"), 500, 1).await;
        }
        for (signs, links) in [(0, 4), (30, 4), (60, 2), (150, 1), (190, 0)] {
            let ignored = "%F0%9F%98%80".repeat(signs);
            let path = format!("/products?q=kettle{ignored}&limit=1&page=3");
            let listed = shop.anonymous().get(&path).await;
            assert_eq!((listed.status, listed.number("/total")), (200, 5), "{listed:?}");
            let header = listed.header("link").unwrap_or_default();
            assert!(header.len() <= 2048, "{}", header.len());
            assert_eq!(header.matches("rel=").count(), links, "{signs}: {header}");
            assert_eq!(header.contains("rel=\"next\""), links > 0, "`next` is dropped last");
        }
    }

    async fn an_invalid_query_parameter_is_refused(shop: TestShop) {
        shop.product("Kettle", 500, 5).await;
        for query in [
            "nonsense=1", "minprice=5", "page=0", "page=-1", "page=x", "page=1.5",
            "page=1000000001", "page=99999999999999999999", "page=1&page=2", "limit=0",
            "limit=101", "limit=-1", "limit=1e1", "minPrice=-1", "maxPrice=-5", "minPrice=1.5",
            "minPrice=cheap", "inStock=maybe", "inStock=1", "sort=stock", "sort=--price",
            "sort=PRICE", "sort=price;DROP%20TABLE%20products", "sort=price,name",
        ] {
            let answer = shop.anonymous().get(&format!("/products?{query}")).await;
            assert_eq!(answer.status, 400, "{query}: {answer:?}");
            answer.assert_problem(400, "invalid-query");
        }
        for (query, name) in [("inStock=maybe", "inStock"), ("limit=x", "limit"), ("colour=", "colour")] {
            let refused = shop.anonymous().get(&format!("/products?{query}")).await;
            assert!(refused.text("/detail").contains(&format!("`{name}`")), "{refused:?}");
        }
        assert_eq!(shop.anonymous().get("/products?").await.number("/total"), 1);
    }

    async fn a_list_has_the_images_of_each_product(shop: TestShop) {
        use crate::support::{Form, images};
        let admin = shop.admin().await;
        for (name, count) in [("Two", 2), ("None", 0), ("One", 1)] {
            let form = Form::default().text("name", name).text("price", "5");
            let form = (0..count).fold(form, |form, _| form.image(&images::png()));
            assert_eq!(admin.upload(http::Method::POST, "/products", &[], form).await.status, 201);
        }
        let listed = shop.anonymous().get("/products?sort=name").await;
        for (index, count) in [(0, 0), (1, 1), (2, 2)] {
            let product = &listed.json()["data"][index];
            assert_eq!(product["images"].as_array().unwrap().len(), count);
            let path = format!("/products/{}", product["id"].as_str().unwrap());
            assert_eq!(&shop.anonymous().get(&path).await.as_listed(), product);
        }
    }
}

/// Returns all products that match a query, by pages or by cursor.
async fn all_pages(shop: &TestShop, query: &str, by_cursor: bool) -> Vec<Value> {
    let (mut all, mut page, mut cursor) = (Vec::new(), 1, String::new());
    loop {
        let position = if by_cursor {
            format!("cursor={cursor}")
        } else {
            format!("page={page}")
        };
        let answer = shop
            .anonymous()
            .get(&format!("/products?limit=50&{query}&{position}"))
            .await;
        assert_eq!(answer.status, 200, "{query}: {answer:?}");
        let json = answer.json();
        let rows = json["data"].as_array().unwrap();
        all.extend(rows.iter().cloned());
        match json["nextCursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None if by_cursor || rows.is_empty() => {
                if !by_cursor {
                    assert_eq!(json["total"], all.len(), "{query}");
                }
                return all;
            }
            None => page += 1,
        }
    }
}

/// Creates 400 products at prices of many magnitudes, one in eight sold out and one in twelve with the word `rare`, and
/// changes some of them. Returns the ids of two categories.
async fn seed_many(shop: &TestShop) -> [String; 2] {
    let admin = shop.admin().await;
    let mut categories = Vec::new();
    for name in ["Kitchen", "Garden"] {
        categories.push(
            admin
                .post("/categories", json!({ "name": name }))
                .await
                .text("/id"),
        );
    }
    let ids: Vec<_> = categories
        .iter()
        .map(|id| Some(id.parse().unwrap()))
        .collect();
    let new = (0..400_usize).map(|number| {
        let rare = if number % 12 == 5 { " rare" } else { "" };
        let price = [
            1,
            9,
            10,
            99,
            100,
            995,
            1_000,
            1_005,
            12_345,
            99_999,
            100_000,
            100_000_000_000,
        ][number % 11 + number % 2];
        shop::domain::catalog::NewProduct {
            name: shop::domain::catalog::ProductName::try_from(format!(
                "lamp {:03}{rare}",
                number * 7 % 400
            ))
            .unwrap(),
            description: shop::domain::catalog::Description::try_from(String::new()).unwrap(),
            price: shop::core::money::Price::try_from(price).unwrap(),
            stock: shop::core::money::Stock::try_from(i64::from(number % 8 != 3)).unwrap(),
            category: [ids[0], ids[1], None][number % 3],
        }
    });
    let new: Vec<_> = new.collect();
    let filled = shop.app.db.write("test.fill", move |tx| {
        shop::domain::catalog::create_all(tx, &new)
    });
    let products: Vec<_> = filled
        .await
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    let ada = shop.customer("ada").await;
    ada.place_order(&products[0], 1).await;
    let cancelled = ada.place_order(&products[1], 1).await;
    let path = format!("/orders/{}/cancel", cancelled["id"].as_str().unwrap());
    assert_eq!(ada.post(&path, Value::Null).await.status, 200);
    for (product, change) in [
        (2, json!({ "price": 12_399 })),
        (3, json!({ "price": 100, "categoryId": null })),
        (5, json!({ "categoryId": categories[0] })),
    ] {
        let path = format!("/products/{}", products[product]);
        assert_eq!(admin.patch(&path, change).await.status, 200);
    }
    let returned = json!({ "delta": 2, "reason": "delivery" });
    let path = format!("/admin/products/{}/stock", products[11]);
    assert_eq!(admin.post(&path, returned).await.status, 200);
    for product in [4, 19] {
        assert_eq!(
            admin
                .delete(&format!("/products/{}", products[product]))
                .await
                .status,
            204
        );
    }
    [categories[0].clone(), categories[1].clone()]
}

storage_test! {
    async fn every_combination_of_filters_and_sort_orders_is_exact(shop: TestShop) {
        let shop = shop.with_settings(&[("rate_limit", "off")]).await;
        let [kitchen, _] = seed_many(&shop).await;
        let products = all_pages(&shop, "sort=createdAt", true).await;
        assert_eq!(products.len(), 398);
        let mut filters = Vec::new();
        for category in ["", &kitchen] {
            for prices in ["", "10-", "-1000", "995-100000", "12345-12399", "100000000000-", "9-8"] {
                for in_stock in ["", "true", "false"] {
                    for q in ["", "lamp", "rare"] {
                        filters.push((category, prices, in_stock, q));
                    }
                }
            }
        }
        for (number, (category, prices, in_stock, q)) in filters.into_iter().enumerate() {
            let (min, max) = prices.split_once('-').unwrap_or_default();
            let is_match = |product: &&Value| {
                let price = product["price"].as_i64().unwrap();
                let is_available = product["stockQuantity"] != 0;
                (category.is_empty() || product["categoryId"] == category)
                    && min.parse().map_or(true, |min: i64| price >= min)
                    && max.parse().map_or(true, |max: i64| price <= max)
                    && in_stock.parse().map_or(true, |in_stock: bool| is_available == in_stock)
                    && product["name"].as_str().unwrap().contains(q)
            };
            let mut expected: Vec<&Value> = products.iter().filter(is_match).collect();
            // Similar products follow fewer matches.
            if !q.is_empty() && expected.len() < 20 {
                continue;
            }
            let parts = [("category", category), ("minPrice", min), ("maxPrice", max), ("inStock", in_stock), ("q", q)];
            let parts: Vec<_> = parts.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| format!("{name}={value}")).collect();
            for field in ["price", "name", "createdAt"] {
                expected.sort_by_key(|product| {
                    let key = &product[field];
                    (key.as_i64(), key.as_str(), product["id"].as_str())
                });
                for (direction, by_cursor) in [("", number % 2 == 0), ("-", number % 2 == 1)] {
                    let query = format!("sort={direction}{field}&{}", parts.join("&"));
                    let listed = all_pages(&shop, &query, by_cursor).await;
                    assert!(listed.iter().eq(expected.iter().copied()), "{query}, by cursor: {by_cursor}");
                    expected.reverse();
                }
            }
        }
        let verified = shop.run(&["verify"]);
        assert!(verified.status.success(), "{verified:?}");
    }
}
