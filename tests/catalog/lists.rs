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
            assert_eq!(&shop.anonymous().get(&path).await.json(), product);
        }
    }
}
