//! `GET /admin/audit`: filters and cursors.

use std::time::Duration;

use serde_json::{Value, json};

use super::{actions, entries};
use crate::support::storage_test;

storage_test! {
    async fn filters_select_entries(shop: TestShop) {
        let admin = shop.admin().await;
        let admin_id = admin.get("/me").await.text("/id");
        let kettle = shop.product("Kettle", 129_900, 5).await;
        shop.advance_clock(Duration::from_hours(1));
        let admin = shop.admin().await;
        let cup = shop.product("Cup", 100, 5).await;
        let body = json!({ "delta": 1, "reason": "found" });
        assert_eq!(admin.post(&format!("/admin/products/{cup}/stock"), body).await.status, 200);
        let category = admin.post("/categories", json!({ "name": "Kitchen" })).await;
        assert_eq!(category.status, 201);

        let all = entries(&admin).await;
        let everything =
            ["category.create", "product.adjust-stock", "product.create", "product.create", "setting.update"];
        assert_eq!(actions(&all), everything);
        let (by_admin, later) = (&everything[..4], &everything[..3]);
        let expected: [(String, &[&str]); 11] = [
            (format!("actor={admin_id}"), by_admin),
            ("actor=USER".to_owned(), by_admin),
            ("actor=SYSTEM".to_owned(), &everything[4..]),
            ("action=product.create".to_owned(), &everything[2..4]),
            (format!("target={kettle}"), &["product.create"]),
            ("target=product".to_owned(), &everything[1..4]),
            ("target=order".to_owned(), &[]),
            ("from=2026-01-31T13:00:00Z".to_owned(), later),
            ("to=2026-01-31T13:00:00Z".to_owned(), &everything[3..]),
            (format!("action=product.create&target={cup}&actor=USER"), &["product.create"]),
            ("actor=&action=&target=&from=&to=&cursor=".to_owned(), &everything),
        ];
        for (query, expected) in expected {
            let answer = admin.get(&format!("/admin/audit?{query}")).await;
            assert_eq!(answer.status, 200, "{query}: {answer:?}");
            let found = answer.json()["data"].as_array().unwrap().clone();
            assert_eq!(actions(&found), expected, "{query}");
        }
        for query in [
            "action=product.paint", "actor=%00", "actor=a-b", "target=1", "from=yesterday", "to=1",
            "limit=0", "limit=101", "page=1", "cursor=none", "kind=product",
        ] {
            let answer = admin.get(&format!("/admin/audit?{query}")).await;
            answer.assert_problem(400, "invalid-query");
        }
    }

    async fn cursors_neither_skip_nor_repeat_entries(shop: TestShop) {
        let admin = shop.admin().await;
        for number in 0..6 {
            shop.product(&format!("Cup {number}"), 100, 5).await;
        }
        let all = entries(&admin).await;
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = admin.get(&format!("/admin/audit?limit=3&cursor={cursor}")).await;
            assert_eq!(page.status, 200, "{page:?}");
            let page = page.json();
            found.extend(page["data"].as_array().unwrap().clone());
            // A new entry is newer than all that follow.
            shop.product("Plate", 100, 5).await;
            match &page["nextCursor"] {
                Value::String(next) => next.clone_into(&mut cursor),
                end => {
                    assert_eq!(*end, Value::Null);
                    break;
                }
            }
        }
        assert_eq!(found, all);
        let other = format!("/admin/audit?limit=3&actor=CLI&cursor={cursor}");
        admin.get(&other).await.assert_problem(400, "invalid-query");
    }
}
