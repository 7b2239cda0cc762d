//! `shop verify`: checks the invariants of the data, reports the rows that break one, repairs what can be derived
//! from other data, and never repairs money.

use std::{collections::BTreeSet, fs};

use http::Method;
use serde_json::{Value, json};

use crate::support::{
    Client, Engine, Form, TestShop,
    images::png,
    run,
    shopping::{path, variant_id},
    storage_test,
};

/// Inserts a refund that was sent; the amount and the order follow.
const REFUND: &str =
    "INSERT INTO refunds (id, order_id, provider_refund_id, amount, status, cause, restock,
                          created_at, updated_at)
                      SELECT id, id, number,";

/// The result of a run.
struct Report {
    code: i32,
    findings: Vec<Value>,
    stderr: String,
}

impl Report {
    /// Returns check and row of each finding.
    fn rows(&self) -> BTreeSet<(String, String)> {
        let text = |finding: &Value, field: &str| finding[field].as_str().unwrap().to_owned();
        let rows = self.findings.iter();
        rows.map(|finding| (text(finding, "check"), text(finding, "row")))
            .collect()
    }

    fn finding(&self, check: &str, row: &str) -> &Value {
        let mut found = self.findings.iter().filter(|finding| {
            finding["check"] == check && finding["row"].as_str().unwrap().contains(row)
        });
        let first = found.next();
        assert!(found.next().is_none(), "{:?}", self.findings);
        first.unwrap_or_else(|| panic!("no {check} of {row}: {:?}", self.findings))
    }

    #[track_caller]
    fn is_clean(&self) {
        assert_eq!((self.code, self.stderr.as_str()), (0, ""));
        assert!(self.findings.is_empty(), "{:?}", self.findings);
    }
}

fn verify(shop: &TestShop, more: &[&str]) -> Report {
    let output = shop.run(&[&["verify", "--json"], more].concat());
    let stderr = String::from_utf8(output.stderr).unwrap();
    Report {
        code: output.status.code().unwrap(),
        findings: serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {stderr}")),
        stderr,
    }
}

/// Creates a product with an image in a category of its own. Returns the product.
async fn product_with_image(shop: &TestShop, admin: &Client<'_>, name: &str) -> Value {
    let body = json!({ "name": format!("All of {name}") });
    let category = admin.post("/categories", body).await;
    let form = Form::default()
        .text("name", name)
        .text("price", "129900")
        .text("stockQuantity", "50")
        .text("categoryId", &category.text("/id"))
        .image(&png());
    let made = admin.upload(Method::POST, "/products", &[], form).await;
    assert_eq!(made.status, 201, "{made:?}");
    shop.app.db.flush_events().await.unwrap();
    made.json()
}

/// Returns an order's number as stored.
fn number(order: &Value) -> String {
    order["number"].as_str().unwrap().replace('-', "")
}

fn id(value: &Value) -> &str {
    value["id"].as_str().unwrap()
}

storage_test! {
    async fn an_untouched_shop_has_no_findings(shop: TestShop) {
        verify(&shop, &[]).is_clean();
        let (admin, ada) = (shop.admin().await, shop.customer("ada").await);
        let kettle = product_with_image(&shop, &admin, "Kettle").await;
        let gone = product_with_image(&shop, &admin, "Gone").await;
        ada.place_order(id(&kettle), 2).await;
        let paid = ada.place_order(id(&kettle), 3).await;
        shop.capture(&paid).await;
        let refund = format!("/admin{}/refund", path(&paid));
        assert_eq!(admin.post(&refund, json!({ "amount": 100 })).await.status, 200);
        let refunded = ada.place_order(id(&kettle), 1).await;
        shop.capture(&refunded).await;
        let refund = format!("/admin{}/refund", path(&refunded));
        assert_eq!(admin.post(&refund, json!({ "restock": true })).await.text("/status"), "REFUNDED");
        let cancelled = ada.place_order(id(&gone), 1).await;
        ada.post(&format!("{}/cancel", path(&cancelled)), Value::Null).await;
        // A late payment, which is refunded automatically.
        shop.capture(&cancelled).await;
        admin.delete(&format!("/products/{}", id(&gone))).await;
        assert_eq!(shop.delete_due_images().await, 1, "its image was deleted");
        verify(&shop, &[]).is_clean();
        verify(&shop, &["--repair"]).is_clean();
        let words = shop.run(&["verify"]);
        assert_eq!(String::from_utf8(words.stdout).unwrap(), "28 checks passed\n");
    }

    async fn findings_about_money_are_not_repaired(shop: TestShop) {
        let ada = shop.customer("ada").await;
        let kettle = shop.product("Kettle", 129_900, 100).await;
        let raw = shop.raw_db();
        // Whether the order is paid, the change of its rows, the check that finds it, and part of the finding.
        let breaches = [
            (false, "DELETE FROM payments WHERE order_id = {id}".to_owned(), "order-payment", "no payment of 129900"),
            (false, "UPDATE payments SET amount = 129000 WHERE order_id = {id}".to_owned(), "order-payment", "129000, not 129900"),
            (false, "UPDATE order_lines SET quantity = 2 WHERE order_id = {id}".to_owned(), "order-total", "129900, its line items sum to 259800"),
            (false, "DELETE FROM order_lines WHERE order_id = {id}".to_owned(), "order-items", "costs 129900"),
            (true, "UPDATE orders SET status = 'PENDING' WHERE id = {id}".to_owned(), "order-status", "PENDING, its payment CAPTURED"),
            (false, "UPDATE orders SET status = 'SHIPPED' WHERE id = {id}".to_owned(), "order-status", "SHIPPED, its payment CREATED"),
            (true, "UPDATE orders SET status = 'REFUNDED' WHERE id = {id}".to_owned(), "order-status", "REFUNDED, its payment CAPTURED"),
            (true, "UPDATE payment_events SET amount = 1 WHERE order_id = {id}".to_owned(), "payment-captured", "a capture of 1 by pay_"),
            (true, "UPDATE payment_events SET outcome = 'ignored' WHERE order_id = {id}".to_owned(), "payment-captured", "no capture is on record"),
            (true, "UPDATE payments SET transaction_id = 'pay_other' WHERE order_id = {id}".to_owned(), "payment-captured", "CAPTURED by pay_other"),
            (false, "UPDATE payments SET transaction_id = 'pay_none' WHERE order_id = {id}".to_owned(), "payment-captured", "CREATED by pay_none"),
            (true, format!("{REFUND} 129901, 'PENDING', 'admin', 0, 0, 0 FROM orders WHERE id = {{id}}"), "refunds-within-captured", "sum to 129901, captured is 129900"),
            (false, format!("{REFUND} 100, 'PENDING', 'admin', 0, 0, 0 FROM orders WHERE id = {{id}}"), "refunds-within-captured", "captured is 0"),
            (true, format!("{REFUND} 129900, 'PROCESSED', 'admin', 0, 0, 0 FROM orders WHERE id = {{id}}"), "payment-refunded", "CAPTURED, and 129900 of 129900"),
            (true, "UPDATE payments SET status = 'REFUNDED' WHERE order_id = {id};
                    UPDATE orders SET status = 'REFUNDED' WHERE id = {id}".to_owned(), "payment-refunded", "REFUNDED, and 0 of 129900"),
            (true, format!("{REFUND} 100, 'PENDING', 'late', 0, 0, 0 FROM orders WHERE id = {{id}};
                    UPDATE refunds SET transaction_id = 'pay_twice' WHERE order_id = {{id}}"), "duplicate-refunded", "pay_twice: 0 was paid, 100 is refunded"),
        ];
        let mut expected = Vec::new();
        for (is_paid, sql, check, message) in breaches {
            let order = ada.place_order(&kettle, 1).await;
            if is_paid {
                shop.capture(&order).await;
            }
            let own = format!("(SELECT id FROM orders WHERE number = '{}')", number(&order));
            raw.run(&sql.replace("{id}", &own));
            expected.push((order, check, message));
        }
        let found = verify(&shop, &[]);
        assert_eq!((found.code, found.findings.len()), (1, expected.len()), "{:?}", found.findings);
        let line = format!("error: findings that need manual action: {}; each says what to do\n", expected.len());
        assert_eq!(found.stderr, line);
        for (order, check, message) in &expected {
            let finding = found.finding(check, id(order));
            assert!(finding["says"].as_str().unwrap().contains(message), "{finding}");
            assert_eq!(finding["repaired"], false);
        }
        let before = raw.dump();
        let repaired = verify(&shop, &["--repair"]);
        assert_eq!((repaired.code, repaired.rows()), (1, found.rows()));
        assert!(before == raw.dump(), "nothing was touched");
    }

    async fn what_a_product_keeps_of_its_variants_is_repaired(shop: TestShop) {
        let product = shop.product_with_options("T-shirt", &[("Size", &["S", "M"])], (2_000, 5)).await;
        let small = variant_id(&product, "S");
        let raw = shop.raw_db();
        raw.run("UPDATE products SET price = 1, price_max = 9, stock = 3, variant_count = 7 WHERE name = 'T-shirt';
                 UPDATE variants SET stock = 8 WHERE options LIKE '%\"S\"%';
                 UPDATE variants SET options = '[]' WHERE options LIKE '%\"M\"%'");
        let found = verify(&shop, &[]);
        let expected: BTreeSet<_> = [
            ("variant-kept", format!("product {}", id(&product))),
            ("stock-movements", format!("variant {small}")),
            ("variant-options", format!("variant {}", variant_id(&product, "M"))),
        ].into_iter().map(|(check, row)| (check.to_owned(), row)).collect();
        assert_eq!((found.code, found.rows()), (1, expected));
        let message = &found.finding("stock-movements", &small)["says"];
        assert_eq!(message, "the stock is 8, but its movements add up to 5");
        let repaired = verify(&shop, &["--repair"]);
        assert_eq!(repaired.code, 1, "the options need an admin");
        let left = verify(&shop, &[]);
        assert_eq!(left.findings.len(), 1, "{:?}", left.findings);
        let shown = shop.anonymous().get(&format!("/products/{}", id(&product))).await;
        let kept = ["price", "priceMax", "stockQuantity", "variantCount"].map(|key| shown.number(&format!("/{key}")));
        assert_eq!(kept, [2_000, 2_000, 13, 2]);
        let events = shop.events().await;
        assert_eq!(events.last().unwrap()[0]["stockQuantity"], 13, "clients of the live inventory get the sum");
    }

    async fn derived_data_is_repaired(shop: TestShop) {
        let (admin, ada) = (shop.admin().await, shop.customer("ada").await);
        let kettle = product_with_image(&shop, &admin, "Kettle").await;
        let mug = shop.product("Mug", 19_900, 7).await;
        ada.place_order(id(&kettle), 2).await;
        let raw = shop.raw_db();
        raw.run("UPDATE products SET stock = stock + 3 WHERE name = 'Kettle';
                    UPDATE products SET stock = 2 WHERE name = 'Mug';
                    UPDATE products SET images = '[]' WHERE name = 'Kettle';
                    UPDATE products SET sold_out = 1 WHERE name = 'Mug';
                    UPDATE variants SET deleted_at = 1
                    WHERE EXISTS (SELECT 1 FROM order_lines l WHERE l.variant_id = variants.id);
                    DELETE FROM variants WHERE deleted_at IS NULL;
                    UPDATE kept_counts SET value = 40;
                    UPDATE categories SET product_count = 0");
        let mut broken: BTreeSet<_> = [
            ("stock-movements", format!("product {}", id(&kettle))),
            ("stock-movements", format!("product {mug}")),
            ("product-images", format!("product {}", id(&kettle))),
            ("sold-out", format!("product {mug}")),
            ("variant-present", format!("product {}", id(&kettle))),
            ("variant-present", format!("product {mug}")),
            ("product-count", "counter `products`".to_owned()),
            ("category-count", format!("category {}", kettle["categoryId"].as_str().unwrap())),
        ]
        .into_iter()
        .map(|(check, row)| (check.to_owned(), row))
        .collect();
        // Only SQLite has counts by price.
        if shop.engine == Engine::Sqlite {
            raw.run("UPDATE price_counts SET sold_out = 1");
            broken.insert(("price-counts".to_owned(), "counts by price".to_owned()));
        }
        let found = verify(&shop, &[]);
        assert_eq!((found.code, found.rows()), (1, broken.clone()));
        let count = broken.len();
        assert_eq!(found.stderr, format!("error: findings: {count}; `shop verify --repair` can repair {count} of them\n"));
        let message = &found.finding("stock-movements", id(&kettle))["says"];
        assert_eq!(message, "the stock is 51, but its movements add up to 48");
        assert!(found.findings.iter().all(|finding| finding["repaired"] == false));

        let repaired = verify(&shop, &["--repair"]);
        assert_eq!((repaired.code, repaired.stderr.as_str()), (0, ""));
        assert_eq!(repaired.rows(), broken);
        assert!(repaired.findings.iter().all(|finding| finding["repaired"] == true));
        verify(&shop, &[]).is_clean();
        let movements = raw.rows("SELECT p.name, m.delta FROM stock_movements m
            JOIN products p ON p.id = m.product_id WHERE m.cause = 'repair' ORDER BY p.name");
        let movements: Vec<_> = movements.concat().into_iter().flatten().collect();
        assert_eq!(movements, ["Kettle", "3", "Mug", "-5"]);
        let shown = shop.anonymous().get(&format!("/products/{}", id(&kettle))).await;
        assert_eq!(shown.json()["images"], kettle["images"]);
        assert_eq!(shown.number("/stockQuantity"), 51, "what sells is left alone");
    }

    async fn gaps_and_lost_images_are_reported(shop: TestShop) {
        let admin = shop.admin().await;
        let kettle = product_with_image(&shop, &admin, "Kettle").await;
        let kept = product_with_image(&shop, &admin, "Pan").await;
        shop.product("Mug", 19_900, 7).await;
        shop.app.db.flush_events().await.unwrap();
        let raw = shop.raw_db();
        raw.run("DELETE FROM events WHERE seq = 2");
        raw.run(match shop.engine {
            Engine::Sqlite => "PRAGMA ignore_check_constraints = ON",
            Engine::Postgres => "ALTER TABLE products DROP CONSTRAINT products_stock_check",
        });
        raw.run("UPDATE products SET stock = -1 WHERE name = 'Mug'");
        let image = &kettle["images"][0];
        let file = image["url"].as_str().unwrap().rsplit('/').next().unwrap();
        fs::remove_file(shop.directory.path().join("images").join(file)).unwrap();

        let found = verify(&shop, &["--repair"]);
        assert_eq!(found.code, 1);
        assert_eq!(found.stderr, "error: findings that need manual action: 3; each says what to do\n");
        let lost = found.finding("image-present", id(image));
        let message = lost["says"].as_str().unwrap();
        assert!(message.contains(file) && message.contains(id(&kettle)), "{lost}");
        let gap = found.finding("event-sequence", "event 3");
        assert!(gap["says"].as_str().unwrap().contains("is 1, not 2"), "{gap}");
        let impossible = found.finding("stock-bounds", "product");
        assert!(impossible["says"].as_str().unwrap().contains("-1"), "{impossible}");
        assert_eq!(found.finding("stock-movements", "product")["repaired"], true);
        assert_eq!(found.findings.len(), 4);

        // Images at URLs are not checked.
        let remedy = format!("/products/{}/images/{}", id(&kettle), id(image));
        assert_eq!(admin.delete(&remedy).await.status, 200);
        raw.run("UPDATE product_images SET url = 'https://res.example/pan.png'");
        let found = verify(&shop, &["--repair"]);
        assert!(found.stderr.starts_with("images at external URLs, which are not checked: 1\n"), "{}", found.stderr);
        assert_eq!(found.finding("product-images", id(&kept))["repaired"], true);
        assert_eq!(found.findings.len(), 3, "{:?}", found.findings);
    }

    async fn variants_follow_their_products(shop: TestShop) {
        let admin = shop.admin().await;
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let mug = shop.product("Mug", 3_000, 5).await;
        let gone = shop.product("Gone", 3_000, 5).await;
        admin.patch(&format!("/variants/{kettle}"), json!({ "sku": "KET-1" })).await;
        admin.delete(&format!("/products/{gone}")).await;
        shop.raw_db().run("UPDATE variants SET deleted_at = CASE WHEN deleted_at IS NULL THEN 1 END");
        admin.patch(&format!("/variants/{gone}"), json!({ "sku": "KET-1" })).await.assert_problem(404, "not-found");
        let expected: BTreeSet<_> = [&kettle, &mug, &gone]
            .map(|id| ("variant-present".to_owned(), format!("product {id}")))
            .into();
        let repaired = verify(&shop, &["--repair"]);
        assert_eq!((repaired.code, repaired.rows()), (0, expected));
        verify(&shop, &[]).is_clean();
        let restored = shop.anonymous().get(&format!("/variants/{kettle}")).await;
        assert_eq!((restored.status, &restored.json()["sku"]), (200, &Value::Null), "its SKU was available meanwhile");
    }

    async fn a_wrongly_normalized_sku_is_reported(shop: TestShop) {
        let (admin, kettle) = (shop.admin().await, shop.product("Kettle", 129_900, 5).await);
        admin.patch(&format!("/variants/{kettle}"), json!({ "sku": "KET-1" })).await;
        verify(&shop, &[]).is_clean();
        shop.raw_db().run("UPDATE variants SET sku_key = 'mug'");
        let found = verify(&shop, &["--repair"]);
        let finding = found.finding("sku-unique", &kettle);
        assert!(finding["says"].as_str().unwrap().contains("`KET-1` is normalized as `mug` instead of `ket-1`"), "{finding}");
        let edited = shop.run(&["admin", "product", "variant", "edit", &kettle, "--sku", "KET-1"]);
        assert!(edited.status.success(), "{edited:?}");
        verify(&shop, &[]).is_clean();
    }

    async fn a_check_reports_at_most_a_thousand_findings(shop: TestShop) {
        let size = ["--products", "1100", "--customers", "2", "--orders", "4"];
        let seeded = shop.run(&[&["admin", "seed"], &size[..]].concat());
        assert!(seeded.status.success(), "{seeded:?}");
        verify(&shop, &[]).is_clean();
        shop.raw_db().run("UPDATE products SET stock = stock + 1 WHERE options = '[]'");
        let found = verify(&shop, &[]);
        assert_eq!((found.code, found.findings.len()), (1, 1000));
        assert!(found.stderr.starts_with("`stock-movements` has more than 1000"), "{}", found.stderr);
        let repaired = verify(&shop, &["--repair"]);
        assert_eq!((repaired.code, repaired.findings.len()), (1, 1000));
        assert!(repaired.stderr.ends_with("run it again\n"), "{}", repaired.stderr);
        let rest = verify(&shop, &["--repair"]);
        assert_eq!((rest.code, rest.findings.len()), (0, 97));
        verify(&shop, &[]).is_clean();
    }
}

#[test]
fn a_missing_shop_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let output = run(directory.path(), &["verify"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.starts_with("error: shop not found: "), "{stderr}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}
