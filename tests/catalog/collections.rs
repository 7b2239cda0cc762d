//! Collections of products in an order of their own.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Client, TestShop, storage_test};

/// Creates products with these names, and a collection of them. Returns its id, and those of the products.
async fn collection(admin: &Client<'_>, shop: &TestShop, names: &[&str]) -> (String, Vec<String>) {
    let mut products = Vec::new();
    for (at, name) in (0..).zip(names) {
        products.push(shop.product(name, 1_000 - 100 * at, at).await);
        shop.advance_clock(Duration::from_secs(1));
    }
    let body =
        json!({ "name": "Summer sale", "description": "All bright", "productIds": products });
    let created = admin.post("/collections", body).await;
    assert_eq!(created.status, 201, "{created:?}");
    let id = created.text("/id");
    assert_eq!(
        created.header("location").unwrap(),
        format!("/api/v1/collections/{id}")
    );
    (id, products)
}

/// Returns the names of the products of a list.
async fn names(shop: &TestShop, query: &str) -> Vec<String> {
    let listed = shop.anonymous().get(&format!("/products?{query}")).await;
    assert_eq!(listed.status, 200, "{listed:?}");
    let data = listed.json()["data"].clone();
    let data = data.as_array().unwrap().iter();
    data.map(|product| product["name"].as_str().unwrap().to_owned())
        .collect()
}

/// Follows the cursors of a list. Returns the names of all products.
async fn names_by_cursor(shop: &TestShop, query: &str) -> Vec<String> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/products?{query}&limit=2&cursor={cursor}");
        let page = shop.anonymous().get(&path).await.json();
        let data = page["data"].as_array().unwrap().iter();
        found.extend(data.map(|product| product["name"].as_str().unwrap().to_owned()));
        match page["nextCursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return found,
        }
    }
}

const ORDERED: [&str; 5] = ["Parasol", "Beach Towel", "Sun Hat", "Flip-flops", "Kite"];

storage_test! {
    async fn a_collection_is_listed_in_its_own_order(shop: TestShop) {
        let admin = shop.admin().await;
        shop.product("Snow Shovel", 500, 9).await;
        let (id, products) = collection(&admin, &shop, &ORDERED).await;
        shop.product("Scarf", 500, 9).await;
        let shown = shop.anonymous().get(&format!("/collections/{id}")).await.json();
        assert_eq!(shown, json!({
            "id": id, "name": "Summer sale", "slug": "summer-sale", "description": "All bright", "productCount": 5,
            "productIds": products,
        }));
        let listed = shop.anonymous().get("/collections").await.json();
        assert_eq!((&listed["data"][0]["slug"], &listed["data"][0]["productCount"]), (&json!("summer-sale"), &json!(5)));
        for query in ["collection=summer-sale".to_owned(), format!("collection={id}&sort=position")] {
            assert_eq!(names(&shop, &query).await, ORDERED, "{query}");
            assert_eq!(names_by_cursor(&shop, &query).await, ORDERED, "{query}");
            assert_eq!(names(&shop, &format!("{query}&limit=2&page=2")).await, ORDERED[2..4], "{query}");
            let total = shop.anonymous().get(&format!("/products?{query}&limit=2")).await;
            assert_eq!((total.number("/total"), total.number("/totalPages")), (5, 3));
        }
        // Other orders and filters.
        let by_name = ["Beach Towel", "Flip-flops", "Kite", "Parasol", "Sun Hat"];
        for (query, expected) in [
            ("sort=name", &by_name[..]),
            ("sort=price", &["Kite", "Flip-flops", "Sun Hat", "Beach Towel", "Parasol"]),
            ("sort=-createdAt&limit=2", &["Kite", "Flip-flops"]),
            ("inStock=false", &["Parasol"]),
            ("minPrice=700&maxPrice=900", &["Beach Towel", "Sun Hat", "Flip-flops"]),
            ("minPrice=700&maxPrice=900&sort=name", &["Beach Towel", "Flip-flops", "Sun Hat"]),
            ("q=s&sort=price", &["Sun Hat"]),
            ("q=towel", &["Beach Towel"]),
            ("q=scarf", &[]),
        ] {
            assert_eq!(names(&shop, &format!("collection=summer-sale&{query}")).await, expected, "{query}");
        }
        assert_eq!(names_by_cursor(&shop, "collection=summer-sale&sort=name").await, by_name);
        assert_eq!(names(&shop, "collection=winter").await, [""; 0]);
        let product = shop.anonymous().get(&format!("/products/{}", products[0])).await.json();
        assert_eq!(product["collectionIds"], json!([id]));
    }

    async fn a_collection_changes_and_ends(shop: TestShop) {
        let admin = shop.admin().await;
        let (id, products) = collection(&admin, &shop, &ORDERED[..3]).await;
        let path = format!("/collections/{id}");
        // Cached responses follow each change.
        assert_eq!(names(&shop, "collection=summer-sale").await, ORDERED[..3]);
        let reordered = json!([products[2], products[0]]);
        let updated = admin.patch(&path, json!({ "name": "Sale", "productIds": reordered })).await;
        assert_eq!((updated.text("/name"), updated.text("/slug"), updated.text("/description")),
            ("Sale".to_owned(), "summer-sale".to_owned(), "All bright".to_owned()));
        assert_eq!(names(&shop, "collection=summer-sale").await, ["Sun Hat", "Parasol"]);
        let of = async |product: &str| shop.anonymous().get(&format!("/products/{product}")).await.json()["collectionIds"].clone();
        assert_eq!((of(&products[1]).await, of(&products[2]).await), (json!([]), json!([id])));
        assert_eq!(admin.delete(&format!("/products/{}", products[2])).await.status, 204);
        assert_eq!(names(&shop, "collection=summer-sale").await, ["Parasol"]);
        let shown = shop.anonymous().get(&path).await;
        assert_eq!((shown.number("/productCount"), shown.json()["productIds"].clone()), (1, json!([products[0]])));
        // A second one with the same name has a slug of its own.
        let second = admin.post("/collections", json!({ "name": "Summer Sale" })).await;
        assert_eq!((second.text("/slug"), second.number("/productCount")), ("summer-sale-2".to_owned(), 0));
        assert_eq!(admin.delete(&path).await.status, 204);
        assert_eq!(names(&shop, "collection=summer-sale").await, [""; 0]);
        assert_eq!(of(&products[0]).await, json!([]));
        for gone in [admin.delete(&path).await, admin.patch(&path, json!({})).await, shop.anonymous().get(&path).await] {
            gone.assert_problem(404, "not-found");
        }
        assert!(shop.run(&["verify"]).status.success());
    }

    async fn an_invalid_collection_is_refused(shop: TestShop) {
        let admin = shop.admin().await;
        let (id, products) = collection(&admin, &shop, &ORDERED[..2]).await;
        let unknown = "01900000-0000-7000-8000-00000000cafe";
        let ids = json!([products[0], unknown, products[1], products[0]]);
        for refused in [
            admin.post("/collections", json!({ "name": "Next", "productIds": ids })).await,
            admin.patch(&format!("/collections/{id}"), json!({ "productIds": ids })).await,
        ] {
            refused.assert_problem(422, "validation-failed");
            let errors = refused.json()["errors"].clone();
            let errors = errors.as_array().unwrap().iter();
            let errors: Vec<Value> = errors.map(|it| json!([it["field"], it["code"]])).collect();
            assert_eq!(errors, [json!(["productIds[1]", "unknown-product"]), json!(["productIds[3]", "duplicate"])]);
        }
        admin.post("/collections", json!({ "name": "" })).await.assert_invalid_field("name");
        admin.post("/collections", json!({ "name": "A", "products": [] })).await.assert_invalid_field("products");
        let many = vec![products[0].clone(); 10_001];
        let many = admin.post("/collections", json!({ "name": "Many", "productIds": many })).await;
        assert_eq!((many.text("/errors/0/field"), many.text("/errors/0/code")), ("productIds".to_owned(), "too-many".to_owned()));
        let body = json!({ "name": "Mine" });
        shop.anonymous().post("/collections", body.clone()).await.assert_problem(401, "unauthorized");
        shop.customer("ada").await.post("/collections", body).await.assert_problem(403, "forbidden");
        for query in ["sort=position", "collection=summer-sale&q=hat&sort=position"] {
            shop.anonymous().get(&format!("/products?{query}")).await.assert_problem(400, "invalid-query");
        }
        assert_eq!(names(&shop, "collection=summer-sale").await, ORDERED[..2]);
    }

    async fn a_collection_has_thousands_of_products(shop: TestShop) {
        use shop::{core::money::{Price, Stock}, domain::catalog::{self, Description, NewProduct, ProductName}};
        let new = (0..7_000).map(|number| NewProduct {
            name: ProductName::try_from(format!("Marble {number}")).unwrap(),
            description: Description::default(),
            price: Price::try_from(number + 1).unwrap(),
            stock: Stock::NONE,
            category: None,
        });
        let new: Vec<NewProduct> = new.collect();
        let created = shop.app.db.write("test.fill", move |tx| catalog::create_all(tx, &new));
        let mut ids: Vec<String> = created.await.unwrap().iter().map(ToString::to_string).collect();
        ids.reverse();
        let admin = shop.admin().await;
        let made = admin.post("/collections", json!({ "name": "Marbles", "productIds": ids })).await;
        assert_eq!((made.status, made.number("/productCount")), (201, 7_000));
        assert_eq!(names(&shop, "collection=marbles&limit=1&page=7000").await, ["Marble 0"]);
        assert_eq!(names(&shop, "collection=marbles&limit=2&q=marble&sort=price&minPrice=5000").await, ["Marble 4999", "Marble 5000"]);
    }

    async fn collections_are_managed_by_commands(shop: TestShop) {
        let (hat, kite) = (shop.product("Sun Hat", 500, 1).await, shop.product("Kite", 900, 1).await);
        let run = |arguments: &[&str]| {
            let output = shop.run(&[&["admin", "collection"], arguments].concat());
            (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
        };
        let added = run(&["add", "Summer", "--description", "Bright", "--product", &kite, "--product", &hat]);
        assert_eq!(added, (Some(0), "created Summer (summer) with 2 products\n".to_owned(), String::new()));
        assert_eq!(run(&["show", "summer"]).1, format!("Summer (summer) with 2 products\n  {kite}\n  {hat}\n"));
        assert_eq!(run(&["edit", "summer", "--product", &hat]).1, "updated Summer (summer) with 1 product\n");
        assert_eq!(names(&shop, "collection=summer").await, ["Sun Hat"]);
        assert!(run(&["list"]).1.contains("summer"));
        let (code, _, error) = run(&["edit", "summer", "--product", "x", "--name", ""]);
        assert!(code != Some(0) && error.contains("--product") && error.contains("--name"), "{error}");
        let (code, _, error) = run(&["delete", "winter"]);
        assert!(code != Some(0) && error.contains("collection list"), "{error}");
        assert_eq!(run(&["delete", "summer"]).1, "deleted Summer (summer) with 1 product\n");
    }
}
