//! Cursor pagination: no product is skipped or repeated, even during concurrent writes.

use std::collections::BTreeSet;

use serde_json::json;

use super::lists::names;
use crate::support::{TestResponse, TestShop, forge_cursor, storage_test};

const SORTS: [&str; 6] = [
    "price",
    "-price",
    "name",
    "-name",
    "createdAt",
    "-createdAt",
];

async fn seed_products(shop: &TestShop, count: usize) -> Vec<String> {
    let admin = shop.admin().await;
    let mut ids = Vec::new();
    for number in 0..count {
        // Every sort column has ties.
        let body = json!({
            "name": format!("Lamp {}", number % 4), "price": 100 + number % 3, "stockQuantity": number % 2,
        });
        ids.push(admin.post("/products", body).await.text("/id"));
        if number % 3 == 0 {
            shop.advance_clock(std::time::Duration::from_millis(1));
        }
    }
    ids
}

fn ids(answer: &TestResponse) -> Vec<String> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let json = answer.json();
    let data = json["data"].as_array().unwrap().iter();
    data.map(|it| it["id"].as_str().unwrap().to_owned())
        .collect()
}

/// Reads one page; without a cursor, the first.
async fn cursor_page(
    shop: &TestShop,
    query: &str,
    cursor: Option<&str>,
) -> (Vec<String>, Option<String>) {
    let path = format!("/products?{query}&cursor={}", cursor.unwrap_or_default());
    let answer = shop.anonymous().get(&path).await;
    let json = answer.json();
    assert!(
        json.get("total").is_none() && json.get("page").is_none(),
        "{json}"
    );
    (ids(&answer), json["nextCursor"].as_str().map(str::to_owned))
}

async fn all_by_cursor(shop: &TestShop, query: &str) -> Vec<String> {
    let (mut all, mut next) = cursor_page(shop, query, None).await;
    while let Some(cursor) = next {
        let (more, then) = cursor_page(shop, query, Some(&cursor)).await;
        assert!(!more.is_empty(), "the last page has the cursor `null`");
        all.extend(more);
        next = then;
    }
    all
}

storage_test! {
    async fn a_cursor_returns_every_product_once_in_order(shop: TestShop) {
        seed_products(&shop, 23).await;
        for sort in SORTS {
            for limit in [1, 4, 23, 100] {
                let page = shop.anonymous().get(&format!("/products?sort={sort}&limit=100")).await;
                let walked = all_by_cursor(&shop, &format!("sort={sort}&limit={limit}")).await;
                assert_eq!(walked, ids(&page), "{sort} by {limit}");
            }
        }
        for query in ["q=lamp&sort=price", "inStock=true&minPrice=101&sort=-name", "q=lamp%201&sort=createdAt"] {
            let page = shop.anonymous().get(&format!("/products?{query}&limit=100")).await;
            assert!(!ids(&page).is_empty(), "{query}");
            assert_eq!(all_by_cursor(&shop, &format!("{query}&limit=3")).await, ids(&page), "{query}");
        }
        assert_eq!(cursor_page(&shop, "category=nowhere", None).await, (Vec::new(), None));
        assert_eq!(cursor_page(&shop, "q=zzzzqqq&sort=name", None).await, (Vec::new(), None));
    }

    async fn a_cursor_neither_skips_nor_repeats_during_concurrent_writes(shop: TestShop) {
        let first = seed_products(&shop, 20).await;
        let admin = shop.admin().await;
        for sort in SORTS {
            let query = format!("sort={sort}&limit=3");
            let before: BTreeSet<_> = all_by_cursor(&shop, &query).await.into_iter().collect();
            let (mut seen, mut next) = cursor_page(&shop, &query, None).await;
            let mut touched = BTreeSet::new();
            let mut step = 0;
            while let Some(cursor) = next {
                // Products are added, deleted, and changed in columns that no sort order uses.
                let body = json!({ "name": format!("Lamp {}", step % 4), "price": 100 + step % 3 });
                touched.insert(admin.post("/products", body).await.text("/id"));
                let victim = before.iter().nth(step * 2).unwrap();
                if step % 2 == 0 && !seen.contains(victim) {
                    admin.delete(&format!("/products/{victim}")).await;
                    touched.insert(victim.clone());
                } else {
                    admin.patch(&format!("/products/{victim}"), json!({ "description": "changed" })).await;
                }
                let (more, then) = cursor_page(&shop, &query, Some(&cursor)).await;
                seen.extend(more);
                next = then;
                step += 1;
            }
            let once: BTreeSet<_> = seen.iter().cloned().collect();
            assert_eq!(once.len(), seen.len(), "{sort}: none twice");
            let missed: Vec<_> = before.difference(&once).filter(|id| !touched.contains(*id)).collect();
            assert!(missed.is_empty(), "{sort}: {missed:?}");
        }
        assert!(!first.is_empty());
    }

    async fn a_cursor_is_valid_for_its_list_only(shop: TestShop) {
        seed_products(&shop, 9).await;
        let (_, next) = cursor_page(&shop, "sort=price&limit=2", None).await;
        let cursor = next.unwrap();
        let anonymous = shop.anonymous();
        let limit = anonymous.get(&format!("/products?sort=price&limit=5&cursor={cursor}")).await;
        assert_eq!(names(&limit).len(), 5, "the limit may change");
        for query in [
            format!("sort=-price&cursor={cursor}"), format!("sort=name&cursor={cursor}"),
            format!("sort=price&inStock=true&cursor={cursor}"), format!("sort=price&q=lamp&cursor={cursor}"),
            format!("sort=price&page=1&cursor={cursor}"), "sort=price&page=2&cursor=".to_owned(),
            format!("sort=relevance&q=lamp&cursor={cursor}"), "q=lamp&cursor=".to_owned(),
            format!("sort=price&cursor={}", &cursor[1..]), format!("sort=price&cursor={cursor}x"),
            "cursor=e30".to_owned(), "cursor=%00".to_owned(), format!("cursor={}", "A".repeat(5000)),
        ] {
            let refused = anonymous.get(&format!("/products?{query}")).await;
            refused.assert_problem(400, "invalid-query");
        }
    }

    async fn a_forged_cursor_is_invalid_or_returns_nothing(shop: TestShop) {
        seed_products(&shop, 9).await;
        let anonymous = shop.anonymous();
        for filter in ["", "&q=lamp", "&inStock=true"] {
            for sort in SORTS {
                let query = format!("sort={sort}&limit=2{filter}");
                let cursor = cursor_page(&shop, &query, None).await.1.unwrap();
                let send = async |changes: serde_json::Value| {
                    let forged = forge_cursor(&cursor, &changes);
                    anonymous.get(&format!("/products?{query}&cursor={forged}")).await
                };
                let (right, wrong) = if sort.ends_with("name") {
                    (vec![json!(""), json!("zz\u{10ffff}"), json!("x".repeat(3000))], json!(7))
                } else {
                    (vec![json!(i64::MIN), json!(i64::MAX), json!(0)], json!("7"))
                };
                for key in right {
                    let answer = send(json!({ "key": key })).await;
                    assert_eq!(answer.status, 200, "{query} {key}: {answer:?}");
                }
                for key in [wrong, json!(1.5), json!(1e300), json!(null), json!([1]), json!({}), json!("a\0")] {
                    let refused = send(json!({ "key": key })).await;
                    assert_eq!(refused.status, 400, "{query} {key}: {refused:?}");
                    refused.assert_problem(400, "invalid-query");
                }
                for id in [json!(7), json!(null), json!("7"), json!("' OR 1=1 --")] {
                    send(json!({ "id": id })).await.assert_problem(400, "invalid-query");
                }
            }
        }
    }
}
