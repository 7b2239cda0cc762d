//! Products are found by the SKUs of their variants.

use http::Method;
use serde_json::{Value, json};

use super::lists::names;
use crate::support::{TestShop, storage_test};

async fn set_sku(shop: &TestShop, variant: &str, sku: Value) {
    let admin = shop.admin().await;
    let updated = admin
        .patch(&format!("/variants/{variant}"), json!({ "sku": sku }))
        .await;
    assert_eq!(updated.status, 200, "{updated:?}");
}

/// Returns the names of the products that a list with these query parameters has.
async fn found(shop: &TestShop, parameters: &[(&str, &str)]) -> Vec<String> {
    let query: String = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(parameters)
        .finish();
    names(&shop.anonymous().get(&format!("/products?{query}")).await)
}

storage_test! {
    async fn the_product_with_the_sku_comes_first(shop: TestShop) {
        let screw = shop.product("Screw", 500, 1).await;
        for name in ["M8 nut", "M8 washer", "Washer M8"] {
            shop.product(name, 100, 1).await;
        }
        assert_eq!(found(&shop, &[("q", "m8")]).await, ["M8 nut", "M8 washer", "Washer M8"]);
        set_sku(&shop, &screw, json!("M8")).await;
        for q in ["M8", "m8", " Ｍ８ "] {
            assert_eq!(found(&shop, &[("q", q)]).await, ["Screw", "M8 nut", "M8 washer", "Washer M8"], "{q}");
        }
        let by_price = found(&shop, &[("q", "m8"), ("sort", "-price")]).await;
        assert_eq!(by_price[0], "Screw");
        assert_eq!(found(&shop, &[("q", "m8"), ("maxPrice", "100")]).await, ["M8 nut", "M8 washer", "Washer M8"]);
        for (page, expected) in [("1", ["Screw", "M8 nut"]), ("2", ["M8 washer", "Washer M8"])] {
            assert_eq!(found(&shop, &[("q", "m8"), ("limit", "2"), ("page", page)]).await, expected);
        }
        set_sku(&shop, &screw, Value::Null).await;
        assert_eq!(found(&shop, &[("q", "m8")]).await, ["M8 nut", "M8 washer", "Washer M8"]);
    }

    async fn parts_of_a_sku_are_found_until_it_changes(shop: TestShop) {
        let shirt = shop.product("Shirt", 500, 1).await;
        shop.product("Mug", 100, 1).await;
        set_sku(&shop, &shirt, json!("TS-RED/M.4711")).await;
        for q in ["TS-RED/M.4711", "ts-red", "tsred", "4711", "47", "red shirt", "shirt 4711"] {
            assert_eq!(found(&shop, &[("q", q)]).await, ["Shirt"], "{q}");
        }
        let admin = shop.admin().await;
        admin.patch(&format!("/products/{shirt}"), json!({ "name": "Jersey", "description": "Cotton" })).await;
        let file = format!("id,name,price\n{shirt},Jersey,600\n");
        let csv = [("content-type", "text/csv")];
        let imported = admin.raw(Method::POST, "/admin/products/import", &csv, file).await;
        assert_eq!(imported.status, 200, "{imported:?}");
        for q in ["4711", "cotton jersey 4711"] {
            assert_eq!(found(&shop, &[("q", q)]).await, ["Jersey"], "{q}");
        }
        let shop = shop.restarted().await;
        set_sku(&shop, &shirt, json!("TS-RED/M.4712")).await;
        assert_eq!(found(&shop, &[("q", "4711")]).await, Vec::<String>::new());
        assert_eq!(found(&shop, &[("q", "4712")]).await, ["Jersey"]);
        shop.admin().await.delete(&format!("/products/{shirt}")).await;
        assert_eq!(found(&shop, &[("q", "4712")]).await, Vec::<String>::new());
    }

    async fn a_list_is_filtered_by_sku(shop: TestShop) {
        let (screw, nut) = (shop.product("Screw", 500, 0).await, shop.product("Nut", 100, 1).await);
        assert_eq!(found(&shop, &[("sku", "m8-s")]).await, Vec::<String>::new());
        set_sku(&shop, &screw, json!("M8-S")).await;
        set_sku(&shop, &nut, json!("M8-N")).await;
        for (parameters, expected) in [
            (&[("sku", "m8-s")][..], &["Screw"][..]),
            (&[("sku", "M8-N"), ("sort", "price")], &["Nut"]),
            (&[("sku", "M8-N"), ("sort", "name"), ("cursor", "")], &["Nut"]),
            (&[("sku", "M8")], &[]),
            (&[("sku", "M8-S"), ("inStock", "true")], &[]),
            (&[("sku", "M8-S"), ("inStock", "false"), ("maxPrice", "500")], &["Screw"]),
            (&[("sku", "M8-S"), ("maxPrice", "499")], &[]),
            (&[("sku", "M8-S"), ("q", "screw")], &["Screw"]),
            (&[("sku", "M8-S"), ("q", "m8"), ("sort", "price")], &["Screw"]),
            (&[("sku", "M8-S"), ("q", "m8"), ("page", "2")], &[]),
            (&[("sku", "M8-S"), ("category", "unknown")], &[]),
        ] {
            assert_eq!(found(&shop, parameters).await, expected, "{parameters:?}");
        }
        let listed = shop.anonymous().get("/products?sku=m8-s").await.json();
        assert_eq!((listed["total"].as_i64(), listed["totalPages"].as_i64()), (Some(1), Some(1)));
    }
}
