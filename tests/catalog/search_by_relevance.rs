//! Searches with thousands of matches, by relevance: the product with the SKU, names that start with the text, names
//! with the word, others.

use http::Method;
use serde_json::json;

use crate::support::{TestResponse, TestShop, storage_test};

/// The beginning of the names, how many products there are, the description, and the class of relevance for `bolt`.
const PRODUCTS: [(&str, i64, &str, Option<i64>); 6] = [
    ("Bolt", 4_000, "Steel", Some(1)),
    ("Anchor bolt", 2_000, "Steel", Some(2)),
    ("Zinc bolt", 2_000, "Steel", Some(2)),
    ("Cap", 1_500, "Fits a bolt", Some(3)),
    ("Nut", 1_500, "Bolts", Some(3)),
    ("Pin", 1_000, "Steel", None),
];

storage_test! {
    async fn each_page_has_the_next_most_relevant_products(shop: TestShop) {
        shop.admin().await.post("/categories", json!({ "name": "Hardware" })).await;
        fill(&shop).await;
        let pin = shop.anonymous().get("/products?q=pin%200007").await.text("/data/0/id");
        shop.admin().await.patch(&format!("/variants/{pin}"), json!({ "sku": "BOLT" })).await;
        for (filters, min, max, stock, category) in [
            ("", 0, 9_999, None, false),
            ("&inStock=false", 0, 9_999, Some(0), false),
            ("&inStock=true&maxPrice=3500", 0, 3_500, Some(1), false),
            ("&category=hardware", 0, 9_999, None, true),
            ("&category=hardware&inStock=false", 0, 9_999, Some(0), true),
            ("&minPrice=1000&maxPrice=1100", 1_000, 1_100, None, false),
            ("&minPrice=1000&maxPrice=1007", 1_000, 1_007, None, false),
            ("&minPrice=1000&maxPrice=1300&inStock=true", 1_000, 1_300, Some(1), false),
            ("&minPrice=2200", 2_200, 9_999, None, false),
        ] {
            let mut expected = Vec::new();
            for (name, count, _, class) in PRODUCTS {
                for i in 0..count {
                    let (price, left) = (100 + i, i % 2);
                    let matches = (min..=max).contains(&price)
                        && stock.is_none_or(|stock| left == stock)
                        && (!category || i % 3 == 0);
                    let name = format!("{name} {i:04}");
                    let class = if name == "Pin 0007" { Some(0) } else { class };
                    if let Some(class) = class && matches {
                        expected.push((class, name));
                    }
                }
            }
            expected.sort();
            let sizes = [1, 2].map(|class| expected.iter().filter(|(of, _)| *of == class).count());
            let names: Vec<&str> = expected.iter().map(|(_, name)| name.as_str()).collect();
            let mut pages = vec![1, 2, sizes[0] / 50 + 1, (sizes[0] + sizes[1]) / 50 + 1];
            pages.extend([(sizes[0] + sizes[1]) / 50 + 9, names.len().div_ceil(50), names.len() / 50 + 2]);
            for page in pages {
                let path = format!("/products?q=bolt&limit=50{filters}&page={page}");
                let found = shop.anonymous().get(&path).await;
                let from = ((page - 1) * 50).min(names.len());
                let to = (from + 50).min(names.len());
                assert_eq!(names_of(&found), names[from..to], "{path}");
            }
        }
    }
}

async fn fill(shop: &TestShop) {
    let mut file = "name,description,price,stockQuantity,category\n".to_owned();
    for (name, count, description, _) in PRODUCTS {
        for i in 0..count {
            let (price, left) = (100 + i, i % 2);
            let category = if i % 3 == 0 { "Hardware" } else { "" };
            let line = format!("{name} {i:04},{description},{price},{left},{category}\n");
            file.push_str(&line);
        }
    }
    let csv = [("content-type", "text/csv")];
    let admin = shop.admin().await;
    let imported = admin
        .raw(Method::POST, "/admin/products/import", &csv, file)
        .await;
    assert_eq!(imported.status, 200, "{imported:?}");
}

fn names_of(listed: &TestResponse) -> Vec<String> {
    let listed = listed.json();
    let products = listed["data"].as_array().unwrap().iter();
    products
        .map(|product| product["name"].as_str().unwrap().to_owned())
        .collect()
}
