//! `POST /admin/products/import`. The command line tests what a file may contain.

use http::Method;
use serde_json::json;

use crate::support::{Client, TestResponse, storage_test};

async fn import(admin: &Client<'_>, file: &str) -> TestResponse {
    let csv = [("content-type", "text/csv; charset=utf-8")];
    let path = "/admin/products/import";
    admin.raw(Method::POST, path, &csv, file.to_owned()).await
}

storage_test! {
    async fn a_file_is_imported(shop: TestShop) {
        let admin = shop.admin().await;
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let file = format!(
            "id,name,price,stockQuantity,category\n{kettle},Kettle,99900,5,Kitchen\n,Cup,100,7,Kitchen\n"
        );
        let imported = import(&admin, &file).await;
        assert_eq!(imported.status, 200, "{imported:?}");
        let summary = imported.json();
        for (field, count) in [("created", 1), ("updated", 1), ("unchanged", 0), ("categories", 1)] {
            assert_eq!(summary[field], json!(count), "{field}: {summary}");
        }
        let shown = admin.get(&format!("/products/{kettle}")).await;
        assert_eq!((shown.number("/price"), shown.text("/category/name")), (99_900, "Kitchen".to_owned()));
        assert_eq!(import(&admin, &file.replace("99900", "99800")).await.json()["updated"], 1);
    }

    async fn an_invalid_file_changes_nothing_and_names_each_line(shop: TestShop) {
        let admin = shop.admin().await;
        let refused = import(&admin, "name,price\nCup,100\nPan,free\n,200\n").await;
        refused.assert_problem(422, "validation-failed");
        let lines: Vec<_> = refused.invalid_fields();
        assert_eq!(lines, ["line 3", "line 4"], "{refused:?}");
        assert_eq!(admin.get("/products").await.number("/total"), 0);
        import(&admin, "").await.assert_problem(422, "validation-failed");
    }

    async fn stock_differences_are_imported_once(shop: TestShop) {
        let admin = shop.admin().await;
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let file = format!("id,stockAtExport,stockQuantity\n{kettle},5,8\n");
        assert_eq!(import(&admin, &file).await.status, 200);
        import(&admin, &file).await.assert_problem(409, "already-imported");
        assert_eq!(shop.stock(&kettle).await, 8);
    }

    async fn other_media_types_and_large_files_are_refused(shop: TestShop) {
        let admin = shop.admin().await;
        let path = "/admin/products/import";
        let json = [("content-type", "application/json")];
        let refused = admin.raw(Method::POST, path, &json, "{}").await;
        refused.assert_problem(415, "unsupported-media-type");
        let large = "x".repeat(4 * 1024 * 1024 + 1);
        import(&admin, &large).await.assert_problem(413, "payload-too-large");
    }
}
