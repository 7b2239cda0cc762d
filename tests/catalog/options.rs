//! Products with options have several variants, each with its own price and stock.

use http::Method;
use serde_json::{Value, json};

use crate::support::{
    Client, TestResponse, TestShop,
    shopping::{self, variant_id},
    storage_test,
};

const SIZES: (&str, &[&str]) = ("Size", &["S", "M"]);
const COLOURS: (&str, &[&str]) = ("Colour", &["Red", "Blue"]);

async fn shown(shop: &TestShop, product: &Value) -> Value {
    let path = format!("/products/{}", product["id"].as_str().unwrap());
    let shown = shop.anonymous().get(&path).await;
    assert_eq!(shown.status, 200, "{shown:?}");
    shown.json()
}

async fn set_options(client: &Client<'_>, product: &Value, body: Value) -> TestResponse {
    let path = format!("/products/{}/options", product["id"].as_str().unwrap());
    client.call(Method::PUT, &path, &[], body).await
}

async fn add_variant(client: &Client<'_>, product: &Value, body: Value) -> TestResponse {
    let path = format!("/products/{}/variants", product["id"].as_str().unwrap());
    client.post(&path, body).await
}

async fn add(client: &Client<'_>, variant: &str, quantity: i64) -> TestResponse {
    let body = json!({ "variantId": variant, "quantity": quantity });
    client.post("/cart", body).await
}

/// Returns lowest and highest price, stock and number of variants.
fn kept(product: &Value) -> [i64; 4] {
    let keys = ["price", "priceMax", "stockQuantity", "variantCount"];
    keys.map(|key| product[key].as_i64().unwrap())
}

fn titles(product: &Value) -> Vec<&str> {
    let variants = product["variants"].as_array().unwrap().iter();
    variants
        .map(|variant| variant["title"].as_str().unwrap())
        .collect()
}

/// Returns the code of the first wrong field, and the field.
fn wrong(response: &TestResponse) -> (String, String) {
    (
        response.text("/errors/0/code"),
        response.text("/errors/0/field"),
    )
}

fn verify(shop: &TestShop) {
    let verified = shop.run(&["verify"]);
    assert!(verified.status.success(), "{verified:?}");
}

storage_test! {
    async fn a_product_is_created_with_its_variants(shop: TestShop) {
        let admin = shop.admin().await;
        let body = json!({
            "name": "T-shirt", "description": "Cotton",
            "options": [{ "name": "Colour", "values": ["Red", "Blue"] }, { "name": "Size", "values": ["S", "M"] }],
            "variants": [
                { "options": { "Colour": "Red", "Size": "M" }, "price": 2_000, "stockQuantity": 3, "sku": "TS-R-M" },
                { "options": { "size": "s", "COLOUR": "blue" }, "price": 1_500, "weightGrams": 180 },
            ],
        });
        let created = admin.post("/products", body).await;
        assert_eq!(created.status, 201, "{created:?}");
        let product = created.json();
        assert_eq!(kept(&product), [1_500, 2_000, 3, 2]);
        assert_eq!(titles(&product), ["Red / M", "Blue / S"]);
        assert_eq!(created.header("location").unwrap(), format!("/api/v1/products/{}", created.text("/id")));
        let red = &product["variants"][0];
        let options = json!([{ "name": "Colour", "value": "Red" }, { "name": "Size", "value": "M" }]);
        assert_eq!((&red["options"], &red["sku"], &red["position"]), (&options, &json!("TS-R-M"), &json!(0)));
        assert_ne!(red["id"], product["id"]);
        let names: Vec<_> = product["options"].as_array().unwrap().iter().map(|it| it["name"].clone()).collect();
        assert_eq!(names, ["Colour", "Size"]);
        assert_eq!(shown(&shop, &product).await, product);

        let listed = shop.anonymous().get("/products").await.json();
        let mut row = product.clone();
        for key in ["variants", "options", "collectionIds"] {
            row.as_object_mut().unwrap().remove(key);
        }
        assert_eq!(listed["data"], json!([row]), "lists have no variants");
        let moved = admin.get("/admin/stock-movements").await.json();
        let moved: Vec<_> = moved["data"].as_array().unwrap().iter()
            .map(|it| (it["variantId"].clone(), it["delta"].clone(), it["cause"].clone())).collect();
        assert!(moved.contains(&(red["id"].clone(), json!(3), json!("create"))), "{moved:?}");
        verify(&shop);
    }

    async fn a_product_with_one_variant_needs_no_options(shop: TestShop) {
        let variant = json!({ "price": 900, "stockQuantity": 4, "sku": "MUG", "barcode": "4006381333931" });
        let body = json!({ "name": "Mug", "variants": [variant] });
        let created = shop.admin().await.post("/products", body).await;
        assert_eq!(created.status, 201, "{created:?}");
        let mug = created.json();
        assert_eq!(kept(&mug), [900, 900, 4, 1]);
        assert_eq!((&mug["variants"][0]["id"], &mug["options"]), (&mug["id"], &json!([])));
        assert_eq!(mug["variants"][0]["sku"], "MUG");
        let order = shop.customer("ada").await.place_order(mug["id"].as_str().unwrap(), 1).await;
        assert_eq!(order["items"][0]["sku"], "MUG");
        verify(&shop);
    }

    async fn every_wrong_field_of_new_variants_is_named(shop: TestShop) {
        let admin = shop.admin().await;
        let many: Vec<_> = (0..51).map(|n| n.to_string()).collect();
        let option = |name: &str, values: &[&str]| json!({ "name": name, "values": values });
        let size = || vec![option("Size", &["S", "M"])];
        let variant = |options: Value| json!({ "price": 100, "options": options });
        for (options, variants, code, field) in [
            (size(), vec![], "required", "variants"),
            (size(), vec![variant(json!({}))], "required", "variants[0].options.Size"),
            (size(), vec![variant(json!({ "Size": "XXL" }))], "unknown-option-value", "variants[0].options.Size"),
            (size(), vec![variant(json!({ "Size": "S", "Cut": "A" }))], "unknown-option", "variants[0].options.Cut"),
            (size(), vec![variant(json!({ "Size": "S", "size": "M" }))], "duplicate", "variants[0].options.Size"),
            (size(), vec![variant(json!({ "Size": "S" })), variant(json!({ "Size": "s" }))],
                "duplicate", "variants[1].options"),
            (vec![], vec![variant(json!({})), variant(json!({}))], "duplicate", "variants[1].options"),
            (vec![option("Size", &["S"]), option("SIZE", &["S"])], vec![variant(json!({ "Size": "S" }))],
                "duplicate", "options[1].name"),
            (vec![option("Size", &["S", "ｓ"])], vec![variant(json!({ "Size": "S" }))],
                "duplicate", "options[0].values[1]"),
            (vec![option("Size", &[])], vec![variant(json!({ "Size": "S" }))], "required", "options[0].values"),
            (["A", "B", "C", "D"].map(|name| option(name, &["1"])).to_vec(), vec![variant(json!({}))],
                "too-many", "options"),
            (vec![json!({ "name": "Size", "values": many })], vec![variant(json!({ "Size": "1" }))],
                "too-many", "options[0].values"),
        ] {
            let body = json!({ "name": "T-shirt", "options": options, "variants": variants });
            let refused = admin.post("/products", body).await;
            refused.assert_problem(422, "validation-failed");
            assert_eq!(wrong(&refused), (code.to_owned(), field.to_owned()), "{refused:?}");
        }
        for body in [
            json!({ "name": "T-shirt", "options": [] }),
            json!({ "name": "T-shirt", "variants": [variant(json!({}))], "price": 100 }),
            json!({ "name": "T-shirt", "variants": [{ "price": 0 }] }),
        ] {
            admin.post("/products", body).await.assert_problem(422, "validation-failed");
        }
        let listed = shop.anonymous().get("/products").await.json();
        assert_eq!(listed["total"], 0, "nothing was created");
    }

    async fn a_product_gets_options_and_its_variant_keeps_its_id(shop: TestShop) {
        let admin = shop.admin().await;
        let kettle = shop.product("Kettle", 5_000, 4).await;
        let ada = shop.customer("ada").await;
        ada.add_to_cart(&kettle, 1).await;
        let order = shop.customer("bob").await.place_order(&kettle, 1).await;
        let product = json!({ "id": kettle });
        let colours = json!([{ "name": "Colour", "values": [{ "value": "Red" }, { "value": "Blue" }] }]);
        let refused = set_options(&admin, &product, json!({ "options": colours })).await;
        assert_eq!(wrong(&refused), ("required".to_owned(), "assign.Colour".to_owned()));
        let body = json!({ "options": colours, "assign": { "Colour": "Red" } });
        let set = set_options(&admin, &product, body).await;
        assert_eq!(set.status, 200, "{set:?}");
        assert_eq!((kept(&set.json()), titles(&set.json())), ([5_000, 5_000, 3, 1], vec!["Red"]));
        assert_eq!(set.json()["variants"][0]["id"], kettle.as_str());

        let blue = add_variant(&admin, &product, json!({ "options": { "Colour": "Blue" }, "price": 6_000 })).await;
        assert_eq!(blue.status, 201, "{blue:?}");
        assert_eq!(kept(&shown(&shop, &product).await), [5_000, 6_000, 3, 2]);
        let cart = ada.get("/cart").await.json();
        assert_eq!(cart["items"][0]["variant"]["title"], "Red", "the cart has the same variant");
        assert_eq!(ada.checkout().await.status, 201);
        let cancelled = shop.customer("bob").await.post(&format!("{}/cancel", shopping::path(&order)), Value::Null).await;
        assert_eq!(cancelled.status, 200, "{cancelled:?}");
        assert_eq!(kept(&shown(&shop, &product).await), [5_000, 6_000, 3, 2], "its unit is back");
        verify(&shop);
    }

    async fn options_and_values_are_renamed_reordered_and_kept(shop: TestShop) {
        let admin = shop.admin().await;
        let product = shop.product_with_options("T-shirt", &[COLOURS, SIZES], (2_000, 1)).await;
        let [colour, size] = [0, 1].map(|at| product["options"][at].clone());
        let value = |option: &Value, at: usize, name: &str| json!({ "id": option["values"][at]["id"], "value": name });
        let body = json!({ "options": [
            { "id": size["id"], "name": "Taille", "values": [value(&size, 1, "Moyen"), value(&size, 0, "S"), { "value": "L" }] },
            { "name": "colour", "values": [{ "value": "Blue" }, { "value": "RED" }] },
        ]});
        let set = set_options(&admin, &product, body).await;
        assert_eq!(set.status, 200, "{set:?}");
        let set = set.json();
        assert_eq!(titles(&set), ["S / RED", "Moyen / RED", "S / Blue", "Moyen / Blue"]);
        let ids = |product: &Value| product["variants"].as_array().unwrap().iter()
            .map(|it| it["id"].clone()).collect::<Vec<_>>();
        assert_eq!(ids(&set), ids(&product));
        assert_eq!(set["options"][0]["id"], size["id"]);
        assert_eq!(set["options"][1]["id"], colour["id"], "an option without id is known by its name");
        let taken = add_variant(&admin, &product, json!({ "options": { "Taille": "s", "Colour": "blue" }, "price": 1 })).await;
        taken.assert_problem(409, "variant-exists");
        verify(&shop);
    }

    async fn a_renamed_option_leaves_its_name_to_a_new_one(shop: TestShop) {
        let admin = shop.admin().await;
        let product = shop.product_with_options("T-shirt", &[SIZES], (2_000, 1)).await;
        let size = &product["options"][0];
        let fit = json!({ "id": size["id"], "name": "Fit", "values": [
            { "id": size["values"][0]["id"], "value": "M" }, { "id": size["values"][1]["id"], "value": "L" }, { "value": "S" },
        ]});
        let options = json!([fit, { "name": "Size", "values": [{ "value": "One" }] }]);
        for (assign, field) in [
            (json!({ "Size": "One", "Fit": "M" }), "assign.Fit"), (json!({ "Size": "Two" }), "assign.Size"),
        ] {
            let refused = set_options(&admin, &product, json!({ "options": options, "assign": assign })).await;
            refused.assert_problem(422, "validation-failed");
            refused.assert_invalid_field(field);
        }
        let set = set_options(&admin, &product, json!({ "options": options, "assign": { "size": "one" } })).await;
        assert_eq!(set.status, 200, "{set:?}");
        assert_eq!(titles(&set.json()), ["M / One", "L / One"], "an id keeps its variants");
        let unchanged = set_options(&admin, &product, json!({ "options": options, "assign": { "Size": "One" } })).await;
        assert_eq!(wrong(&unchanged), ("unknown-option".to_owned(), "assign.Size".to_owned()));
        verify(&shop);
    }

    async fn an_unchanged_export_is_imported_without_changes(shop: TestShop) {
        let admin = shop.admin().await;
        let kettle = shop.product("Kettle", 5_000, 4).await;
        let mug = shop.product("Mug", 500, 4).await;
        for (product, sku) in [(&kettle, "KET"), (&mug, "MUG")] {
            let path = format!("/variants/{product}");
            assert_eq!(admin.patch(&path, json!({ "sku": sku })).await.status, 200);
        }
        let colours = json!([{ "name": "Colour", "values": [{ "value": "Red" }] }]);
        let body = json!({ "options": colours, "assign": { "Colour": "Red" } });
        assert_eq!(set_options(&admin, &json!({ "id": kettle }), body).await.status, 200);
        let exported = shop.run(&["admin", "product", "export"]);
        let file = String::from_utf8(exported.stdout).unwrap();
        let csv = [("content-type", "text/csv")];
        let import = async |file: String| admin.raw(Method::POST, "/admin/products/import", &csv, file).await;
        let imported = import(file.clone()).await;
        assert_eq!((imported.status, imported.number("/unchanged")), (200, 2), "{imported:?}");
        for (row, why) in [
            (format!("id,sku\n{mug},KET\n"), "belongs to product"),
            (format!("id,name,sku\n{kettle},Pot,\n{mug},,KET\n"), "belongs to product"),
            (format!("id,price\n{kettle},7\n"), "has options"),
        ] {
            let refused = import(row).await;
            assert!(refused.status == 422 && refused.text("/errors/0/message").contains(why), "{refused:?}");
        }
        verify(&shop);
    }

    async fn a_value_that_a_variant_has_stays(shop: TestShop) {
        let admin = shop.admin().await;
        let product = shop.product_with_options("T-shirt", &[SIZES], (2_000, 1)).await;
        for options in [json!([]), json!([{ "name": "Size", "values": [{ "value": "M" }, { "value": "L" }] }])] {
            let refused = set_options(&admin, &product, json!({ "options": options })).await;
            refused.assert_problem(409, "option-in-use");
            let small = variant_id(&product, "S");
            assert!(refused.json()["errors"].as_array().unwrap().iter().any(|it| it["variantId"] == small.as_str()));
        }
        assert_eq!(shown(&shop, &product).await, product);
        let small = format!("/variants/{}", variant_id(&product, "S"));
        assert_eq!(admin.delete(&small).await.status, 204);
        let only_m = json!({ "options": [{ "name": "Size", "values": [{ "value": "M" }] }] });
        assert_eq!(set_options(&admin, &product, only_m).await.status, 200);
        let unknown = "0193e4a0-0000-7000-8000-0000000000aa";
        for (options, code, field) in [
            (json!([{ "id": unknown, "name": "Size", "values": [{ "value": "M" }] }]), "unknown-option", "options[0].id"),
            (json!([{ "name": "Size", "values": [{ "id": unknown, "value": "M" }] }]),
                "unknown-option-value", "options[0].values[0].id"),
        ] {
            let refused = set_options(&admin, &product, json!({ "options": options })).await;
            refused.assert_problem(422, "validation-failed");
            assert_eq!(wrong(&refused), (code.to_owned(), field.to_owned()));
        }
        verify(&shop);
    }

    async fn a_variant_leaves_its_product_and_carts(shop: TestShop) {
        let admin = shop.admin().await;
        let product = shop.product_with_options("T-shirt", &[SIZES], (2_000, 3)).await;
        let [small, medium] = ["S", "M"].map(|title| variant_id(&product, title));
        let ada = shop.customer("ada").await;
        assert_eq!(add(&ada, &small, 1).await.status, 200);
        let order = ada.checkout().await.json();
        assert_eq!(add(&ada, &small, 1).await.status, 200);
        assert_eq!(add(&ada, &medium, 1).await.status, 200);
        let path = format!("/variants/{small}");
        let stale = admin.call(Method::DELETE, &path, &[("if-match", "\"x\"")], Value::Null).await;
        stale.assert_problem(412, "precondition-failed");
        assert_eq!(admin.delete(&path).await.status, 204);
        admin.delete(&path).await.assert_problem(404, "not-found");
        assert_eq!(kept(&shown(&shop, &product).await), [2_000, 2_000, 3, 1]);
        assert_eq!(ada.get("/cart").await.json()["itemCount"], 1);
        assert_eq!(ada.get(&shopping::path(&order)).await.json()["items"][0]["title"], "S");
        add(&ada, &small, 1).await.assert_problem(404, "not-found");
        admin.delete(&format!("/variants/{medium}")).await.assert_problem(409, "last-variant");
        let cancelled = ada.post(&format!("{}/cancel", shopping::path(&order)), Value::Null).await;
        assert_eq!(cancelled.status, 200, "{cancelled:?}");
        assert_eq!(kept(&shown(&shop, &product).await), [2_000, 2_000, 3, 1], "a deleted variant is not for sale");
        let again = json!({ "options": { "Size": "S" }, "price": 1_000 });
        assert_eq!(add_variant(&admin, &product, again).await.status, 201, "the combination is free again");
        verify(&shop);
    }

    async fn price_and_stock_belong_to_the_variant(shop: TestShop) {
        let admin = shop.admin().await;
        let product = shop.product_with_options("T-shirt", &[SIZES], (2_000, 3)).await;
        let path = format!("/products/{}", product["id"].as_str().unwrap());
        let [small, medium] = ["S", "M"].map(|title| variant_id(&product, title));
        let ask = |response: TestResponse| {
            response.assert_problem(409, "variant-required");
            let errors = response.json()["errors"].clone();
            let ids: Vec<_> = errors.as_array().unwrap().iter().map(|it| it["variantId"].clone()).collect();
            assert_eq!(ids, [small.as_str(), medium.as_str()]);
        };
        ask(admin.patch(&path, json!({ "price": 5 })).await);
        ask(admin.call(Method::PATCH, &path, &[("if-match", "*")], json!({ "stockQuantity": 5 })).await);
        let delta = json!({ "delta": 2, "reason": "count" });
        ask(admin.post(&format!("/admin{path}/stock"), delta.clone()).await);
        assert_eq!(admin.patch(&path, json!({ "name": "Shirt" })).await.status, 200);

        let changed = admin.post(&format!("/admin/variants/{small}/stock"), delta).await;
        assert_eq!((changed.status, changed.number("/stockQuantity")), (200, 5), "{changed:?}");
        let taken = json!({ "delta": -6, "reason": "lost" });
        let short = admin.post(&format!("/admin/variants/{small}/stock"), taken).await;
        short.assert_problem(409, "insufficient-stock");
        assert_eq!(short.text("/errors/0/variantId"), small);
        let headers = [("if-match", "*")];
        let body = json!({ "price": 2_500, "stockQuantity": 0, "options": { "Size": "M" } });
        let updated = admin.call(Method::PATCH, &format!("/variants/{medium}"), &headers, body).await;
        assert_eq!((updated.status, updated.number("/stockQuantity")), (200, 0), "{updated:?}");
        let product = shown(&shop, &product).await;
        assert_eq!((kept(&product), &product["name"]), ([2_000, 2_500, 5, 2], &json!("Shirt")));
        let taken = json!({ "options": { "Size": "S" } });
        admin.patch(&format!("/variants/{medium}"), taken).await.assert_problem(409, "variant-exists");

        assert_eq!(admin.delete(&format!("/variants/{small}")).await.status, 204);
        let only = admin.call(Method::PATCH, &path, &headers, json!({ "price": 9, "stockQuantity": 7 })).await;
        assert_eq!((only.status, kept(&only.json())), (200, [9, 9, 7, 1]), "a single variant needs no id: {only:?}");
        let delta = json!({ "delta": 1, "reason": "found" });
        assert_eq!(admin.post(&format!("/admin{path}/stock"), delta).await.number("/stockQuantity"), 8);
        verify(&shop);
    }

    async fn lists_search_and_filters_follow_the_variants(shop: TestShop) {
        let admin = shop.admin().await;
        let product = shop.product_with_options("T-shirt", &[SIZES], (2_000, 1)).await;
        let cup = shop.product("Cup", 1_000, 1).await;
        let [small, medium] = ["S", "M"].map(|title| format!("/variants/{}", variant_id(&product, title)));
        let ids = async |query: &str| {
            let listed = shop.anonymous().get(&format!("/products?{query}")).await.json();
            let data = listed["data"].as_array().unwrap().iter();
            data.map(|it| it["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let shirt = product["id"].as_str().unwrap().to_owned();
        assert_eq!(ids("sort=price").await, [cup.clone(), shirt.clone()]);
        assert_eq!(admin.patch(&medium, json!({ "price": 500, "sku": "TS-M" })).await.status, 200);
        assert_eq!(ids("sort=price").await, [shirt.clone(), cup.clone()]);
        assert_eq!(ids("maxPrice=500").await, [shirt.as_str()]);
        assert_eq!(ids("q=ts-m").await, [shirt.as_str()]);
        assert_eq!(ids("sku=ts-m").await, [shirt.as_str()]);
        assert_eq!(ids("q=shirt&maxPrice=500").await, [shirt.as_str()]);
        let ada = shop.customer("ada").await;
        add(&ada, &variant_id(&product, "S"), 1).await;
        assert_eq!(ada.checkout().await.status, 201);
        assert_eq!(ids("inStock=true&sort=price").await, [shirt.clone(), cup], "another variant is left");
        add(&ada, &variant_id(&product, "M"), 1).await;
        assert_eq!(ada.checkout().await.status, 201);
        assert_eq!(ids("inStock=false").await, [shirt.as_str()]);
        assert_eq!(ids("q=shirt&inStock=false").await, [shirt]);
        assert_eq!(admin.delete(&small).await.status, 204);
        verify(&shop);
    }

    async fn an_order_takes_several_variants_of_a_product(shop: TestShop) {
        let product = shop.product_with_options("T-shirt", &[COLOURS, SIZES], (2_000, 2)).await;
        let ada = shop.customer("ada").await;
        let [red, blue] = ["Red / M", "Blue / S"].map(|title| variant_id(&product, title));
        add(&ada, &red, 2).await;
        add(&ada, &blue, 1).await;
        let of_product = json!({ "productId": product["id"] });
        ada.post("/cart", of_product).await.assert_problem(409, "variant-required");
        let order = ada.checkout().await;
        assert_eq!(order.status, 201, "{order:?}");
        let items = order.json()["items"].clone();
        let mut sold: Vec<_> = items.as_array().unwrap().iter()
            .map(|it| (it["title"].as_str().unwrap(), it["quantity"].as_i64().unwrap())).collect();
        sold.sort_unstable();
        assert_eq!(sold, [("Blue / S", 1), ("Red / M", 2)]);
        assert_eq!(kept(&shown(&shop, &product).await), [2_000, 2_000, 5, 4]);
        let short = add(&ada, &red, 1).await;
        short.assert_problem(409, "insufficient-stock");
        assert_eq!((short.text("/errors/0/variantId"), short.number("/errors/0/available")), (red.clone(), 0));
        let events = shop.events().await;
        let by_id = |red_left: i64, blue_left: i64| {
            let mut variants = [(&red, red_left), (&blue, blue_left)];
            variants.sort_unstable();
            variants.map(|(id, stock)| json!({ "id": id, "stockQuantity": stock }))
        };
        let change = json!([{ "id": product["id"], "stockQuantity": 5, "variants": by_id(0, 1) }]);
        assert_eq!(events.last(), Some(&change));
        let path = shopping::path(&order.json());
        assert_eq!(ada.post(&format!("{path}/cancel"), Value::Null).await.status, 200);
        assert_eq!(kept(&shown(&shop, &product).await), [2_000, 2_000, 8, 4]);
        let back = json!([{ "id": product["id"], "stockQuantity": 8, "variants": by_id(2, 2) }]);
        assert_eq!(shop.events().await.last(), Some(&back));
        verify(&shop);
    }
}
