//! Cursor pagination of orders.

use serde_json::json;

use crate::support::{Client, TestResponse, forge_cursor, storage_test};

fn numbers(answer: &TestResponse) -> Vec<String> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let json = answer.json();
    let data = json["data"].as_array().unwrap().iter();
    data.map(|it| it["number"].as_str().unwrap().to_owned())
        .collect()
}

async fn list_all(client: &Client<'_>, list: &str) -> Vec<String> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let answer = client.get(&format!("{list}&cursor={cursor}")).await;
        all.extend(numbers(&answer));
        assert_eq!(answer.json().get("total"), None);
        match answer.json()["nextCursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return all,
        }
    }
}

storage_test! {
    async fn cursor_pagination_lists_each_order_once_while_others_are_placed(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 50).await;
        let (admin, ada, bob) = (shop.admin().await, shop.customer("ada").await, shop.customer("bob").await);
        for number in 0..9 {
            let customer = if number % 3 == 0 { &bob } else { &ada };
            customer.post("/cart", json!({ "productId": kettle })).await;
            assert_eq!(customer.post("/orders", json!({})).await.status, 201);
            shop.advance_clock(std::time::Duration::from_millis(number % 2));
        }
        let own = numbers(&ada.get("/orders?limit=100").await);
        assert_eq!(own.len(), 6);
        for limit in [1, 2, 3, 6, 100] {
            assert_eq!(list_all(&ada, &format!("/orders?limit={limit}")).await, own);
        }
        let all = numbers(&admin.get("/admin/orders?limit=100").await);
        assert_eq!(list_all(&admin, "/admin/orders?limit=4").await, all);

        let first = ada.get("/orders?limit=2&cursor=").await;
        let next = first.text("/nextCursor");
        ada.post("/cart", json!({ "productId": kettle })).await;
        ada.post("/orders", json!({})).await;
        let second = ada.get(&format!("/orders?limit=2&cursor={next}")).await;
        assert_eq!(numbers(&second), own[2..4], "new orders sort before the cursor");
        for wrong in [
            format!("/orders?page=1&cursor={next}"), format!("/orders?status=PAID&cursor={next}"),
            "/orders?cursor=x".to_owned(),
        ] {
            ada.get(&wrong).await.assert_problem(400, "invalid-query");
        }
        admin.get(&format!("/admin/orders?status=PENDING&cursor={next}")).await.assert_problem(400, "invalid-query");
        assert!(list_all(&ada, "/orders?status=PAID").await.is_empty());
        for (client, list) in [(&ada, "/orders"), (&admin, "/admin/orders")] {
            for key in [json!("7"), json!("a\0"), json!(null), json!(1.5)] {
                let forged = forge_cursor(&next, &json!({ "key": key }));
                let refused = client.get(&format!("{list}?limit=2&cursor={forged}")).await;
                assert_eq!(refused.status, 400, "{list} {key}: {refused:?}");
            }
        }
    }
}
