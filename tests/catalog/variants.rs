//! Variants: the unit of sale. A product without options has one.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use crate::support::{Client, Form, TestResponse, TestShop, images::png, storage_test};

fn path(variant: &str) -> String {
    format!("/variants/{variant}")
}

async fn patch(client: &Client<'_>, variant: &str, body: Value) -> TestResponse {
    client.patch(&path(variant), body).await
}

async fn patch_if(client: &Client<'_>, variant: &str, tag: &str, body: Value) -> TestResponse {
    let headers = [("if-match", tag)];
    client
        .call(Method::PATCH, &path(variant), &headers, body)
        .await
}

async fn shown(shop: &TestShop, variant: &str) -> TestResponse {
    shop.anonymous().get(&path(variant)).await
}

storage_test! {
    async fn a_product_without_options_has_one_variant_with_its_id(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let variant = shown(&shop, &kettle).await;
        assert_eq!(variant.status, 200, "{variant:?}");
        let product = shop.anonymous().get(&format!("/products/{kettle}")).await.json();
        let mut alone = variant.json();
        let of = alone.as_object_mut().unwrap().remove("product").unwrap();
        assert_eq!(of, json!({ "id": kettle, "name": "Kettle", "slug": "kettle", "images": [] }));
        assert_eq!(product["variants"], json!([alone]));
        assert_eq!(alone, json!({
            "id": kettle, "productId": kettle, "title": "", "options": [], "sku": null, "barcode": null, "price": 129_900,
            "compareAtPrice": null, "currency": "INR", "stockQuantity": 5, "weightGrams": null,
            "requiresShipping": true, "imageId": null, "position": 0, "createdAt": product["createdAt"],
            "updatedAt": product["updatedAt"],
        }));
        let listed = shop.anonymous().get("/products").await.json();
        assert_eq!(listed["data"][0].get("variants"), None, "lists have no variants");
        let admin = shop.admin().await;
        admin.delete(&format!("/products/{kettle}")).await;
        shown(&shop, &kettle).await.assert_problem(404, "not-found");
        patch(&admin, &kettle, json!({ "sku": "KET" })).await.assert_problem(404, "not-found");
    }

    async fn an_unchanged_variant_is_not_sent_again(shop: TestShop) {
        let (admin, kettle) = (shop.admin().await, shop.product("Kettle", 129_900, 5).await);
        let get_unless = async |tag: &str| {
            let headers = [("if-none-match", tag)];
            shop.anonymous().call(Method::GET, &path(&kettle), &headers, Value::Null).await
        };
        let product = format!("/products/{kettle}");
        let tag = shown(&shop, &kettle).await.header("etag").unwrap().to_owned();
        let of_product = shop.anonymous().get(&product).await.header("etag").unwrap().to_owned();
        let unchanged = get_unless(&tag).await;
        assert_eq!((unchanged.status, unchanged.body.len()), (304, 0));
        assert_eq!(patch(&admin, &kettle, json!({ "sku": "KET" })).await.status, 200);
        assert_eq!(get_unless(&tag).await.status, 200, "it has changed");
        let headers = [("if-match", of_product.as_str())];
        let stale = admin.call(Method::PATCH, &product, &headers, json!({ "price": 1 })).await;
        stale.assert_problem(412, "precondition-failed");
    }

    async fn imported_and_sample_products_have_variants_too(shop: TestShop) {
        let csv = [("content-type", "text/csv")];
        let table = "name,price,stockQuantity\nCup,100,7\nPan,900,0\n";
        let admin = shop.admin().await;
        let imported = admin.raw(Method::POST, "/admin/products/import", &csv, table).await;
        assert_eq!(imported.status, 200, "{imported:?}");
        let seeded = shop.run(&["admin", "seed", "--products", "3", "--customers", "0"]);
        assert!(seeded.status.success(), "{seeded:?}");
        let listed = shop.anonymous().get("/products").await.json();
        let products = listed["data"].as_array().unwrap();
        assert_eq!(products.len(), 5);
        for product in products {
            let path = format!("/products/{}", product["id"].as_str().unwrap());
            let variants = shop.anonymous().get(&path).await.json()["variants"].clone();
            let numbers = |key: &str| -> Vec<i64> {
                let variants = variants.as_array().unwrap().iter();
                variants.map(|variant| variant[key].as_i64().unwrap()).collect()
            };
            assert_eq!(json!(numbers("stockQuantity").iter().sum::<i64>()), product["stockQuantity"]);
            assert_eq!(json!(numbers("price").iter().min()), product["price"]);
            assert_eq!(json!(numbers("price").len()), product["variantCount"]);
        }
    }

    async fn a_variant_is_updated_field_by_field(shop: TestShop) {
        let (admin, kettle) = (shop.admin().await, shop.product("Kettle", 129_900, 5).await);
        let fields = json!({
            "sku": " KET-1 ", "barcode": "4006381333931", "compareAtPrice": 149_900, "weightGrams": 1_250,
            "requiresShipping": false,
        });
        let updated = patch(&admin, &kettle, fields).await;
        assert_eq!(updated.status, 200, "{updated:?}");
        let expected = json!({
            "sku": "KET-1", "barcode": "4006381333931", "compareAtPrice": 149_900, "weightGrams": 1_250,
            "requiresShipping": false, "price": 129_900, "stockQuantity": 5,
        });
        for (field, value) in expected.as_object().unwrap() {
            assert_eq!(&updated.json()[field], value, "{field}");
        }
        let read = shown(&shop, &kettle).await;
        assert_eq!((read.json(), read.header("etag")), (updated.json(), updated.header("etag")));
        for field in ["sku", "barcode", "compareAtPrice", "weightGrams"] {
            let removed = patch(&admin, &kettle, json!({ field: null })).await;
            assert_eq!((removed.status, &removed.json()[field]), (200, &Value::Null), "{removed:?}");
        }
        assert_eq!(shown(&shop, &kettle).await.json()["requiresShipping"], false, "what is not sent stays");
    }

    async fn invalid_fields_are_named_and_nothing_changes(shop: TestShop) {
        let (admin, kettle) = (shop.admin().await, shop.product("Kettle", 129_900, 5).await);
        let before = shown(&shop, &kettle).await.json();
        let long = "x".repeat(65);
        for (field, value) in [
            ("sku", json!("")), ("sku", json!(" ")), ("sku", json!(long)), ("sku", json!("a\nb")), ("sku", json!(7)),
            ("barcode", json!(long)), ("price", json!(0)), ("price", Value::Null), ("price", json!("9")),
            ("compareAtPrice", json!(0)), ("compareAtPrice", json!(1.5)), ("weightGrams", json!(-1)),
            ("weightGrams", json!(1_000_000_001)), ("requiresShipping", Value::Null), ("requiresShipping", json!("no")),
            ("imageId", json!("1")), ("stockQuantity", json!(-1)), ("id", json!(kettle)), ("title", json!("Red")),
        ] {
            let mut body = json!({ "barcode": "1" });
            body[field] = value;
            let refused = patch_if(&admin, &kettle, "*", body).await;
            refused.assert_problem(422, "validation-failed");
            refused.assert_invalid_field(field);
        }
        let blank = patch(&admin, &kettle, json!({ "sku": " " })).await.json();
        assert_eq!(blank["errors"][0]["message"], "must be 1 to 64 characters without control characters");
        assert_eq!(shown(&shop, &kettle).await.json(), before);
        let nobody = shop.anonymous();
        patch(&nobody, &kettle, json!({ "sku": "A" })).await.assert_problem(401, "unauthorized");
        let ada = shop.customer("ada").await;
        patch(&ada, &kettle, json!({ "sku": "A" })).await.assert_problem(403, "forbidden");
        let other = "0193e4a0-0000-7000-8000-0000000000aa";
        patch(&admin, other, json!({ "sku": "A" })).await.assert_problem(404, "not-found");
    }

    async fn a_sku_belongs_to_one_variant_in_any_case_and_width(shop: TestShop) {
        let admin = shop.admin().await;
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let mug = shop.product("Mug", 3_000, 5).await;
        assert_eq!(patch(&admin, &kettle, json!({ "sku": "Straße-1" })).await.status, 200);
        for spelling in ["Straße-1", "STRASSE-1", "straße-1", "ｓｔｒａｓｓｅ-１", "Strasse-1\u{fe0f}"] {
            let refused = patch(&admin, &mug, json!({ "sku": spelling, "barcode": "1" })).await;
            refused.assert_problem(409, "sku-taken");
        }
        assert_eq!(shown(&shop, &mug).await.json()["barcode"], Value::Null, "nothing was changed");
        for other in ["Strase-1", "Strässe-1", "Strasse -1"] {
            assert_eq!(patch(&admin, &mug, json!({ "sku": other })).await.status, 200, "{other}");
        }
        assert_eq!(patch(&admin, &kettle, json!({ "sku": "STRASSE-1" })).await.status, 200, "its own");
        admin.delete(&format!("/products/{kettle}")).await;
        assert_eq!(patch(&admin, &mug, json!({ "sku": "strasse-1" })).await.status, 200, "it is available again");
    }

    async fn one_of_two_variants_gets_a_sku(shop: TestShop) {
        let admin = shop.admin().await;
        for round in 0..20 {
            let kettle = shop.product("Kettle", 129_900, 5).await;
            let mug = shop.product("Mug", 3_000, 5).await;
            let body = json!({ "sku": format!("SKU-{round}") });
            let (one, other) = tokio::join!(patch(&admin, &kettle, body.clone()), patch(&admin, &mug, body));
            let mut statuses = [one.status, other.status];
            statuses.sort_unstable();
            assert_eq!(statuses, [200, 409], "{one:?} {other:?}");
        }
    }

    async fn price_and_stock_of_the_only_variant_are_those_of_the_product(shop: TestShop) {
        let (admin, kettle) = (shop.admin().await, shop.product("Kettle", 129_900, 5).await);
        patch(&admin, &kettle, json!({ "stockQuantity": 9 })).await.assert_problem(428, "precondition-required");
        let tag = shown(&shop, &kettle).await.header("etag").unwrap().to_owned();
        shop.advance_clock(Duration::from_secs(1));
        let body = json!({ "price": 99_900, "stockQuantity": 9, "sku": "KET" });
        let updated = patch_if(&admin, &kettle, &tag, body.clone()).await;
        assert_eq!((updated.status, updated.number("/price"), updated.number("/stockQuantity")), (200, 99_900, 9));
        patch_if(&admin, &kettle, &tag, body).await.assert_problem(412, "precondition-failed");
        let product = shop.anonymous().get(&format!("/products/{kettle}")).await;
        assert_eq!((product.number("/price"), product.number("/stockQuantity")), (99_900, 9));
        let moved = admin.get(&format!("/admin/stock-movements?productId={kettle}")).await.json();
        assert_eq!(moved["data"][0]["delta"], 4);
        shop.customer("ada").await.place_order(&kettle, 2).await;
        assert_eq!(shown(&shop, &kettle).await.number("/stockQuantity"), 7, "a sale is shown at once");
        let actions = admin.get("/admin/audit?limit=2").await.json();
        let actions: Vec<_> = actions["data"].as_array().unwrap().iter().map(|entry| entry["action"].clone()).collect();
        assert_eq!(actions, ["variant.update", "product.update"]);
    }

    async fn a_variant_shows_one_of_the_images_of_its_product(shop: TestShop) {
        let admin = shop.admin().await;
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let mug = shop.product("Mug", 3_000, 5).await;
        let images = async |product: &str| {
            let path = format!("/products/{product}/images");
            let added = admin.upload(Method::POST, &path, &[], Form::default().image(&png())).await;
            added.text("/images/0/id")
        };
        let (own, foreign) = (images(&kettle).await, images(&mug).await);
        let refused = patch(&admin, &kettle, json!({ "imageId": foreign })).await;
        refused.assert_problem(422, "validation-failed");
        assert_eq!(refused.json()["errors"][0]["code"], "unknown-image");
        assert_eq!(patch(&admin, &kettle, json!({ "imageId": own })).await.text("/imageId"), own);
        let removed = admin.delete(&format!("/products/{kettle}/images/{own}")).await;
        assert_eq!(removed.json()["variants"][0]["imageId"], Value::Null);
        assert_eq!(shown(&shop, &kettle).await.json()["imageId"], Value::Null);
        let entries = admin.get("/admin/audit?action=variant.update&limit=1").await.json();
        let change = json!([{ "field": "imageId", "from": own, "to": null }]);
        assert_eq!(entries["data"][0]["changes"], change);
    }
}
