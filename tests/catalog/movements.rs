//! `GET /admin/stock-movements`.

use serde_json::{Value, json};

use crate::support::{Client, storage_test};

/// Reads all movements that match, a few at a time.
async fn movements(admin: &Client<'_>, query: &str) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/admin/stock-movements?limit=2&{query}&cursor={cursor}");
        let answer = admin.get(&path).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let page = answer.json();
        all.extend(page["data"].as_array().unwrap().clone());
        match page["nextCursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return all,
        }
    }
}

fn causes(movements: &[Value]) -> Vec<&str> {
    let causes = movements.iter().map(|it| it["cause"].as_str().unwrap());
    causes.collect()
}

storage_test! {
    async fn the_stock_is_the_sum_of_its_movements(shop: TestShop) {
        let (admin, ada) = (shop.admin().await, shop.customer("ada").await);
        let kettle = shop.product("Kettle", 129_900, 9).await;
        let cup = shop.product("Cup", 100, 5).await;
        let order = ada.place_order(&kettle, 2).await;
        let body = json!({ "delta": 4, "reason": "delivery" });
        let changed = admin.post(&format!("/admin/products/{kettle}/stock"), body).await;
        assert_eq!(changed.number("/stockQuantity"), 11);

        let all = movements(&admin, "").await;
        let mut all_causes = causes(&all);
        all_causes.sort_unstable();
        assert_eq!(all_causes, ["admin", "create", "create", "order"]);
        let own = movements(&admin, &format!("productId={kettle}")).await;
        assert_eq!(own.len(), 3);
        let sum: i64 = own.iter().map(|it| it["delta"].as_i64().unwrap()).sum();
        assert_eq!(sum, 11);
        let by = |cause: &str| own.iter().find(|it| it["cause"] == cause).unwrap();
        assert_eq!((&by("order")["orderId"], &by("order")["delta"]), (&order["id"], &json!(-2)));
        assert_eq!((&by("admin")["note"], &by("admin")["orderId"]), (&json!("delivery"), &Value::Null));
        assert_eq!(by("create")["productName"], "Kettle");
        assert!(movements(&admin, &format!("productId={cup}")).await.len() == 1);

        // A cursor belongs to its filter.
        let first = admin.get("/admin/stock-movements?limit=1").await.text("/nextCursor");
        let path = format!("/admin/stock-movements?productId={kettle}&cursor={first}");
        admin.get(&path).await.assert_problem(400, "invalid-query");
    }
}
