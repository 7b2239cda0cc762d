//! Few matches among thousands of products are found in every order, by page and by cursor.

use std::cmp::Reverse;

use http::Method;
use serde_json::Value;
use shop::domain::catalog::normalize;

use crate::support::{TestShop, storage_test};

const PRICES: [i64; 16] = [
    1,
    2,
    9,
    10,
    11,
    19,
    20,
    99,
    100,
    101,
    999,
    1_000,
    12_345,
    99_999,
    5_000_000_000,
    100_000_000_000,
];

storage_test! {
    async fn matches_between_many_others_are_found_in_every_order(shop: TestShop) {
        let letters: Vec<char> = "-19:abz~§ßя한\u{10000}".chars().collect();
        let mut products: Vec<(String, i64)> = Vec::new();
        for one in &letters {
            products.push((one.to_string(), 7));
            for other in letters.iter().chain(&[' ']) {
                products.push((format!("{one}{other}k"), PRICES[products.len() % PRICES.len()]));
            }
        }
        let mut file = "name,description,price\n".to_owned();
        file.extend(products.iter().map(|(name, price)| format!("{name},a needle,{price}\n")));
        file.extend((0..6_000).map(|i| format!("m{} hay,,{}\n", i % 7, 1 + i % 2_000)));
        let csv = [("content-type", "text/csv")];
        let imported = shop.admin().await.raw(Method::POST, "/admin/products/import", &csv, file).await;
        assert_eq!(imported.status, 200, "{imported:?}");

        for (filters, min, max) in [("", 0, i64::MAX), ("&minPrice=2&maxPrice=999", 2, 999), ("&maxPrice=9", 0, 9)] {
            let mut expected: Vec<(String, i64)> = products.iter()
                .map(|(name, price)| (normalize(name), *price))
                .filter(|(_, price)| (min..=max).contains(price))
                .collect();
            for sort in ["name", "-name", "price", "-price", "relevance"] {
                match sort {
                    "price" => expected.sort_by_key(|(_, price)| *price),
                    "-price" => expected.sort_by_key(|(_, price)| Reverse(*price)),
                    "-name" => expected.sort_by_key(|(name, _)| Reverse(name.clone())),
                    _ => expected.sort(),
                }
                let key = |(name, price): &(String, i64)| if sort.ends_with("price") { price.to_string() } else { name.clone() };
                let expected: Vec<String> = expected.iter().map(key).collect();
                let path = format!("/products?q=needle&limit=9&sort={sort}{filters}");
                let mut pages = Vec::new();
                for page in 1..=expected.len().div_ceil(9) + 1 {
                    pages.extend(rows(&shop, &format!("{path}&page={page}")).await.0);
                }
                assert_eq!(pages.iter().map(key).collect::<Vec<_>>(), expected, "{path}");
                if sort == "relevance" {
                    continue;
                }
                let (mut by_cursor, mut cursor) = (Vec::new(), Some(String::new()));
                while let Some(after) = cursor {
                    let (data, next) = rows(&shop, &format!("{path}&cursor={after}")).await;
                    by_cursor.extend(data);
                    cursor = next;
                }
                assert_eq!(by_cursor, pages, "{path}");
            }
        }
    }
}

/// Returns the normalized names and the prices of a list, and the cursor of the next page.
async fn rows(shop: &TestShop, path: &str) -> (Vec<(String, i64)>, Option<String>) {
    let listed = shop.anonymous().get(path).await;
    assert_eq!(listed.status, 200, "{listed:?}");
    let listed = listed.json();
    let row = |row: &Value| {
        (
            normalize(row["name"].as_str().unwrap()),
            row["price"].as_i64().unwrap(),
        )
    };
    let data = listed["data"].as_array().unwrap().iter().map(row).collect();
    (data, listed["nextCursor"].as_str().map(str::to_owned))
}
