//! SQL injection, by sqlmap.

use futures_util::future::join_all;
use serde_json::json;

use crate::support::{Sqlmap, TestShop, live::Served, storage_test};

const FILTERED: &str = "/products?q=kettle&sort=price&category=kitchen&minPrice=100&maxPrice=9000&inStock=true&page=1&limit=5";
const SORTED_SEARCH: &str = "/products?q=kettle&sort=name&limit=1";
const USERS: &str = "/admin/users?email=ada@example.com";

/// Adds products in a category. Returns the id of one.
async fn stocked(shop: &TestShop) -> String {
    let admin = shop.admin().await;
    let kitchen = admin.post("/categories", json!({ "name": "Kitchen" }));
    let kitchen = kitchen.await.text("/id");
    let mut id = String::new();
    for (name, price) in [("Tea", 300), ("Kettle", 2_000), ("Copper Kettle", 5_000)] {
        let body =
            json!({ "name": name, "price": price, "stockQuantity": 9, "categoryId": kitchen });
        id = admin.post("/products", body).await.text("/id");
    }
    id
}

storage_test! {
    async fn sqlmap_finds_nothing(shop: TestShop) {
        let Some(sqlmap) = Sqlmap::against(shop.engine) else {
            return;
        };
        let kettle = stocked(&shop).await;
        let (anonymous, admin, ada) = (shop.anonymous(), shop.admin().await, shop.customer("ada").await);
        ada.place_order(&kettle, 1).await;
        let order = ada.place_order(&kettle, 2).await;
        let user = order["userId"].as_str().unwrap();

        let product = format!("/products/{kettle}");
        let shown = anonymous.get(&product).await;
        let next_page = anonymous.get(&format!("{SORTED_SEARCH}&cursor=")).await.text("/nextCursor");
        let next_page = format!("{SORTED_SEARCH}&cursor={next_page}");
        let orders = format!("/admin/orders?status=PENDING&userId={user}&from=2026-01-01T00:00:00Z&to=2027-01-01T00:00:00Z");
        let next = admin.get(&format!("{orders}&limit=1&cursor=")).await.text("/nextCursor");
        let orders = format!("{orders}&limit=1&cursor={next}");

        let served = Served::start(&shop).await;
        let client = reqwest::Client::new();
        let url = |path: &str| format!("http://{}/api/v1{path}", served.address);
        let get = |path: &str| client.get(url(path));
        let token = admin.token.as_ref().unwrap();
        let reads = [
            (get(FILTERED), "q,sort,category,minPrice,maxPrice,inStock,page,limit,User-Agent,Referer"),
            (get(&next_page), "q,sort,cursor"),
            (get(&product), "#1*"),
            (get(&product).header("if-none-match", shown.header("etag").unwrap()), "if-none-match"),
            (get(&orders).bearer_auth(token), "status,userId,from,to,cursor"),
            (get(USERS).bearer_auth(token), "email"),
        ];
        let before = shop.raw_db().dump();
        join_all(reads.map(|(request, parameters)| sqlmap.finds_nothing(request, parameters))).await;
        assert_eq!(shop.raw_db().dump(), before, "a read has written");

        let login = json!({ "email": "ada@example.com", "password": "correct horse battery" });
        let login = client.post(url("/auth/login")).body(login.to_string());
        let login = login.header("content-type", "application/json");
        sqlmap.finds_nothing(login, "JSON email,JSON password").await;
    }
}
