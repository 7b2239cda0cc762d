//! Searches with thousands of matches, in the order of their prices.

use std::iter;

use http::Method;

use crate::support::{TestResponse, storage_test};

storage_test! {
    /// There are more bolts than are counted, and few nuts. The index of prices begins with pins and ends with anvils.
    /// Half of each are sold out.
    async fn a_common_word_is_found_in_the_order_of_prices(shop: TestShop) {
        let first = (12, 1);
        let bolts = (0..10_100).map(|i| (100 + i * 37 % 9_000, i % 2));
        let bolts: Vec<(i64, i64)> = iter::once(first).chain(bolts).collect();
        let nuts: Vec<(i64, i64)> = (0..1_100).map(|i| (200 + i, i % 2)).collect();
        let pins: Vec<(i64, i64)> = (0..1_100).map(|i| (10 + i % 80, i / 80 % 2)).collect();
        let anvils: Vec<(i64, i64)> = (0..1_100).map(|i| (50_000 + i, i % 2)).collect();
        let mut file = "name,price,stockQuantity\n".to_owned();
        for (name, products) in [("Bolt", &bolts), ("Nut", &nuts), ("Pin", &pins), ("Anvil", &anvils)] {
            let lines = products.iter().map(|(price, stock)| format!("{name},{price},{stock}\n"));
            file.extend(lines);
        }
        let admin = shop.admin().await;
        let csv = [("content-type", "text/csv")];
        let imported = admin.raw(Method::POST, "/admin/products/import", &csv, file).await;
        assert_eq!(imported.status, 200, "{imported:?}");

        for (word, products, filters, min, max, stock) in [
            ("bolt", &bolts, "", 0, 9_999, None),
            ("bolt", &bolts, "&maxPrice=9060", 0, 9_060, None),
            ("bolt", &bolts, "&minPrice=15", 15, 9_999, None),
            ("bolt", &bolts, "&minPrice=11&maxPrice=60000", 11, 60_000, None),
            ("bolt", &bolts, "&minPrice=1234&maxPrice=7001", 1_234, 7_001, None),
            ("bolt", &bolts, "&inStock=false", 0, 9_999, Some(0)),
            ("bolt", &bolts, "&inStock=true&minPrice=15", 15, 9_999, Some(1)),
            ("nut", &nuts, "", 0, 9_999, None),
            ("nut", &nuts, "&minPrice=11&maxPrice=60000", 11, 60_000, None),
            ("nut", &nuts, "&inStock=true&maxPrice=60000", 0, 60_000, Some(1)),
        ] {
            let mut prices: Vec<i64> = products.iter()
                .filter(|(price, _)| (min..=max).contains(price))
                .filter(|(_, left)| stock.is_none_or(|stock| *left == stock))
                .map(|(price, _)| *price)
                .collect();
            prices.sort_unstable();
            for sort in ["price", "-price"] {
                let path = format!("/products?q={word}&sort={sort}&limit=20{filters}");
                for page in [1, 7] {
                    let found = shop.anonymous().get(&format!("{path}&page={page}")).await;
                    let skipped = (page - 1) * 20;
                    assert_eq!(prices_of(&found), prices[skipped..skipped + 20], "{path}, page {page}");
                }
                let first = shop.anonymous().get(&format!("{path}&cursor=")).await;
                assert_eq!(prices_of(&first), prices[..20], "{path}");
                let next = format!("{path}&cursor={}", first.text("/nextCursor"));
                assert_eq!(prices_of(&shop.anonymous().get(&next).await), prices[20..40], "{next}");
                prices.reverse();
            }
        }
    }
}

fn prices_of(listed: &TestResponse) -> Vec<i64> {
    let listed = listed.json();
    let products = listed["data"].as_array().unwrap().iter();
    products
        .map(|product| product["price"].as_i64().unwrap())
        .collect()
}
