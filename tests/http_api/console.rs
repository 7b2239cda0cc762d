//! The console at `/console`, and the payment simulator of a demo.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::support::{shopping::path, storage_test};

/// Returns the paths of all files of the console, relative to its folder.
fn files(folder: &Path, prefix: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.path().is_dir() {
            found.extend(files(&entry.path(), &format!("{name}/")));
        } else {
            found.push(name);
        }
    }
    found
}

storage_test! {
    async fn the_console_is_off_by_default(shop: TestShop) {
        for path in ["/console", "/console/main.js", "/console/console.css"] {
            shop.anonymous().get(path).await.assert_problem(404, "not-found");
        }
    }

    async fn the_console_serves_each_of_its_files(shop: TestShop) {
        let shop = shop.with_settings(&[("console", "on"), ("rate_limit", "off")]).await;
        let page = shop.anonymous().get("/console").await;
        assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        let slash = shop.anonymous().get("/console/").await;
        // Relative, since a proxy may serve the shop under a path.
        assert_eq!((slash.status, slash.header("location")), (308, Some("../console")));
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/console");
        for name in files(&folder, "") {
            if name == "index.html" {
                continue;
            }
            let file = shop.anonymous().get(&format!("/console/{name}")).await;
            assert_eq!(file.status, 200, "{name}: add it to `FILES`");
            assert_eq!(file.body, fs::read(folder.join(&name)).unwrap(), "{name}");
            let kind = match name.rsplit_once('.') {
                Some((_, "css")) => "text/css",
                _ => "text/javascript",
            };
            let expected = format!("{kind}; charset=utf-8");
            assert_eq!(file.header("content-type"), Some(&*expected), "{name}");
        }
    }

    async fn a_real_shop_has_no_payment_simulator(shop: TestShop) {
        assert_eq!(shop.app.gateway.name(), "mock");
        let shop = shop.with_settings(&[("console", "on"), ("rate_limit", "off")]).await;
        let ada = shop.customer("ada").await;
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let order = ada.place_order(&kettle, 1).await;
        for body in [json!({}), Value::Null] {
            let refused = ada.post(&format!("/demo{}/pay", path(&order)), body).await;
            refused.assert_problem(404, "not-found");
        }
        assert_eq!(ada.get(&path(&order)).await.text("/status"), "PENDING");
    }
}
