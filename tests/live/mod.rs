//! Live inventory over real sockets: exactly the committed changes, in commit order.

mod abuse;
mod changes;
mod close;
mod events;
mod proof;

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use crate::support::{
    Client, Engine, TestShop,
    live::{Listener, ReceivedUpdates, Served},
    shopping::{path, variant_id},
    storage_test,
};

/// Returns the `seq`, the product id and the stock of an update with one product.
fn single(update: &Value) -> (i64, String, i64) {
    assert_eq!(update["type"], "INVENTORY_UPDATE", "{update}");
    assert_eq!(update["products"].as_array().unwrap().len(), 1, "{update}");
    let product = &update["products"][0];
    let id = product["id"].as_str().unwrap().to_owned();
    (
        update["seq"].as_i64().unwrap(),
        id,
        product["stockQuantity"].as_i64().unwrap(),
    )
}

async fn change_stock(admin: &Client<'_>, product: &str, delta: i64) {
    let body = json!({ "delta": delta, "reason": "counted" });
    let changed = admin
        .post(&format!("/admin/products/{product}/stock"), body)
        .await;
    assert_eq!(changed.status, 200, "{changed:?}");
}

/// Returns the greeting at this position.
fn hello(seq: i64) -> Value {
    json!({ "type": "HELLO", "seq": seq })
}

storage_test! {
    async fn a_listener_receives_the_update_of_an_order(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let ada = shop.customer("ada").await;
        let served = Served::start(&shop).await;
        let (mut listener, greeting) = served.listen("").await;
        assert_eq!(greeting, hello(1), "the position includes acknowledged changes");

        let order = ada.place_order(&kettle, 2).await;
        assert_eq!(listener.receive().await, json!({
            "type": "INVENTORY_UPDATE", "seq": 2, "at": order["createdAt"],
            "products": [{ "id": kettle, "stockQuantity": 3 }],
        }));
        served.stopped().await;
    }

    async fn the_greeting_includes_every_acknowledged_change(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 100).await;
        let ada = shop.customer("ada").await;
        let served = Served::start(&shop).await;
        for acknowledged in 2..20 {
            ada.place_order(&kettle, 1).await;
            let (listener, greeting) = served.listen("").await;
            assert_eq!(greeting, hello(acknowledged));
            listener.leave().await;
        }
        served.stopped().await;
    }

    async fn every_stock_change_is_sent(shop: TestShop) {
        let admin = shop.admin().await;
        let ada = shop.customer("ada").await;
        let served = Served::start(&shop).await;
        let (mut listener, greeting) = served.listen("").await;
        assert_eq!(greeting, hello(0));

        let kettle = shop.product("Kettle", 129_900, 5).await;
        assert_eq!(single(&listener.receive().await), (1, kettle.clone(), 5), "created");
        let order = ada.place_order(&kettle, 2).await;
        assert_eq!(single(&listener.receive().await), (2, kettle.clone(), 3), "ordered");
        ada.post(&format!("{}/cancel", path(&order)), Value::Null).await;
        assert_eq!(single(&listener.receive().await), (3, kettle.clone(), 5), "cancelled");
        change_stock(&admin, &kettle, -4).await;
        assert_eq!(single(&listener.receive().await), (4, kettle.clone(), 1), "broken");

        let product = format!("/products/{kettle}");
        let tag = admin.get(&product).await.header("etag").unwrap().to_owned();
        let counted = json!({ "stockQuantity": 8 });
        let headers = [("if-match", tag.as_str())];
        let changed = admin.call(Method::PATCH, &product, &headers, counted).await;
        assert_eq!(changed.status, 200, "{changed:?}");
        assert_eq!(single(&listener.receive().await), (5, kettle.clone(), 8), "counted");
        admin.patch(&product, json!({ "name": "Teapot", "price": 1 })).await;
        admin.delete(&product).await;
        let gone = listener.receive().await;
        assert_eq!(gone["products"], json!([{ "id": kettle, "stockQuantity": 0, "deleted": true }]));
        assert_eq!(gone["seq"], 6, "a new name is not a stock change");
        served.stopped().await;
    }

    async fn an_order_of_several_products_is_one_update(shop: TestShop) {
        let (kettle, mug) =
            (shop.product("Kettle", 129_900, 5).await, shop.product("Mug", 30_000, 9).await);
        let ada = shop.customer("ada").await;
        let served = Served::start(&shop).await;
        let (mut listener, _) = served.listen("").await;
        ada.add_to_cart(&mug, 3).await;
        ada.place_order(&kettle, 2).await;
        let update = listener.receive().await;
        assert_eq!(update["seq"], 3);
        let mut sent: Vec<String> =
            update["products"].as_array().unwrap().iter().map(ToString::to_string).collect();
        sent.sort();
        let mut expected = vec![
            json!({ "id": kettle, "stockQuantity": 3 }).to_string(),
            json!({ "id": mug, "stockQuantity": 6 }).to_string(),
        ];
        expected.sort();
        assert_eq!(sent, expected);
        served.stopped().await;
    }

    async fn concurrent_orders_are_sent_in_commit_order(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 100).await;
        let names: Vec<String> = (0..20).map(|n| format!("customer{n}")).collect();
        let mut customers = Vec::new();
        for name in &names {
            let customer = shop.customer(name).await;
            customer.add_to_cart(&kettle, 2).await;
            customers.push(customer);
        }
        let served = Served::start(&shop).await;
        let mut listeners = Vec::new();
        for _ in 0..3 {
            listeners.push(served.listen("").await.0);
        }
        let placed =
            futures_util::future::join_all(customers.iter().map(Client::checkout)).await;
        assert!(placed.iter().all(|answer| answer.status == 201));
        for listener in &mut listeners {
            for number in 1..=20 {
                let received = single(&listener.receive().await);
                assert_eq!(received, (1 + number, kettle.clone(), 100 - 2 * number));
            }
        }
        served.stopped().await;
    }

    async fn missed_updates_are_replayed(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 100).await;
        let ada = shop.customer("ada").await;
        for _ in 0..5 {
            ada.place_order(&kettle, 1).await;
        }
        let served = Served::start(&shop).await;
        for since in 0..=6 {
            let (mut listener, greeting) = served.listen(&format!("?since={since}")).await;
            assert_eq!(greeting, hello(since));
            for seq in since + 1..=6 {
                assert_eq!(single(&listener.receive().await), (seq, kettle.clone(), 101 - seq));
            }
        }
        served.stopped().await;
    }

    async fn missed_updates_are_replayed_after_a_restart(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 100).await;
        shop.customer("ada").await.place_order(&kettle, 1).await;
        let shop = shop.restarted().await;
        let served = Served::start(&shop).await;
        let (mut listener, greeting) = served.listen("?since=1").await;
        assert_eq!(greeting, hello(1));
        assert_eq!(single(&listener.receive().await), (2, kettle.clone(), 99));
        shop.customer("bob").await.place_order(&kettle, 1).await;
        assert_eq!(single(&listener.receive().await), (3, kettle, 98));
        served.stopped().await;
    }

    async fn a_listener_far_behind_gets_merged_updates(shop: TestShop) {
        let (kettle, mug) =
            (shop.product("Kettle", 129_900, 500).await, shop.product("Mug", 30_000, 7).await);
        let admin = shop.admin().await;
        for _ in 0..100 {
            change_stock(&admin, &kettle, -1).await;
        }
        let served = Served::start(&shop).await;
        let (mut listener, greeting) = served.listen("?since=0").await;
        assert_eq!(greeting, hello(0));
        let received = listener.receive_up_to(102).await;
        assert!(received.len() < 102, "merged");
        let mut reached = 0;
        let mut last = std::collections::BTreeMap::new();
        for update in &received {
            let from = update["mergedFrom"].as_i64().unwrap_or_else(|| update["seq"].as_i64().unwrap());
            assert_eq!(from, reached + 1, "no undeclared gap");
            reached = update["seq"].as_i64().unwrap();
            for product in update["products"].as_array().unwrap() {
                last.insert(product["id"].to_string(), product["stockQuantity"].clone());
            }
        }
        let expected = [(json!(kettle).to_string(), json!(400)), (json!(mug).to_string(), json!(7))];
        assert_eq!(last, expected.into_iter().collect());
        served.stopped().await;
    }

    async fn merged_updates_have_the_last_stock_of_each_variant(shop: TestShop) {
        let shirt = shop.product_with_options("T-shirt", &[("Size", &["S", "M", "L"])], (2_000, 500)).await;
        let [small, medium, large] = ["S", "M", "L"].map(|title| variant_id(&shirt, title));
        let admin = shop.admin().await;
        let take = async |variant: &str| {
            let body = json!({ "delta": -1, "reason": "counted" });
            assert_eq!(admin.post(&format!("/admin/variants/{variant}/stock"), body).await.status, 200);
        };
        for _ in 0..40 {
            take(&small).await;
            take(&medium).await;
        }
        take(&small).await;
        assert_eq!(admin.delete(&format!("/variants/{large}")).await.status, 204);
        let served = Served::start(&shop).await;
        let (mut listener, _) = served.listen("?since=1").await;
        let received = listener.receive_up_to(83).await;
        assert!(received.len() < 82, "merged");
        let mut all = ReceivedUpdates::since(1);
        for update in received {
            all.record(update);
        }
        assert_eq!(all.stock[shirt["id"].as_str().unwrap()], 919);
        let expected = [(small, 459), (medium.clone(), 460), (large.clone(), 0)];
        assert_eq!(all.variants, expected.into_iter().collect());
        let last = all.updates.last().unwrap();
        let variants = last["products"][0]["variants"].as_array().unwrap();
        assert!(variants.contains(&json!({ "id": large, "stockQuantity": 0, "deleted": true })), "{last}");
        let (mut listener, _) = served.listen("").await;
        take(&medium).await;
        let update = listener.receive().await;
        assert_eq!(update["products"][0]["variants"].as_array().map(Vec::len), Some(1), "only what has changed: {update}");
        served.stopped().await;
    }

    async fn a_listener_must_resync_if_a_replay_is_not_possible(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 100).await;
        let admin = shop.admin().await;
        change_stock(&admin, &kettle, -1).await;
        change_stock(&admin, &kettle, -1).await;
        let served = Served::start(&shop).await;
        for nowhere in [4, 1_000_000, i64::MAX, -1, i64::MIN] {
            let (_, greeting) = served.listen(&format!("?since={nowhere}")).await;
            assert_eq!(greeting, json!({ "type": "RESYNC", "seq": 3 }), "{nowhere}");
        }
        shop.raw_db().run("DELETE FROM events WHERE seq = 1");
        let (_, greeting) = served.listen("?since=0").await;
        assert_eq!(greeting, json!({ "type": "RESYNC", "seq": 3 }), "deleted");
        let (mut listener, greeting) = served.listen("?since=1").await;
        assert_eq!(greeting, hello(1));
        assert_eq!(listener.receive_up_to(3).await.len(), 2);
        for nonsense in ["?since=new", "?since=1.5", "?sinse=1"] {
            assert_eq!(served.connect(nonsense, &[]).await.err(), Some(400), "{nonsense}");
        }
        served.stopped().await;
    }

    async fn a_listener_receives_the_products_of_its_subscription(shop: TestShop) {
        let (kettle, mug) =
            (shop.product("Kettle", 129_900, 50).await, shop.product("Mug", 30_000, 50).await);
        let admin = shop.admin().await;
        let served = Served::start(&shop).await;
        let (mut listener, _) = served.listen("").await;
        let mug_only = json!({ "type": "subscribe", "productIds": [mug] }).to_string();
        listener.send(&mug_only).await;
        assert_eq!(listener.receive().await, json!({ "type": "SUBSCRIBED", "seq": 2 }));
        change_stock(&admin, &kettle, 1).await;
        change_stock(&admin, &mug, 1).await;
        assert_eq!(single(&listener.receive().await), (4, mug.clone(), 51));

        let ada = shop.customer("ada").await;
        ada.add_to_cart(&mug, 1).await;
        ada.place_order(&kettle, 1).await;
        assert_eq!(single(&listener.receive().await), (5, mug.clone(), 50), "an update is filtered, too");

        listener.send(r#"{"type":"subscribe","productIds":[]}"#).await;
        assert_eq!(listener.receive().await, json!({ "type": "SUBSCRIBED", "seq": 5 }));
        change_stock(&admin, &mug, 1).await;
        listener.send(r#"{"type":"subscribe"}"#).await;
        let all = listener.receive().await;
        assert_eq!(all["type"], "SUBSCRIBED", "no update before");
        change_stock(&admin, &kettle, 1).await;
        // The change in between is sent if the listener's position is before it.
        let received = listener.receive_up_to(7).await;
        assert_eq!(received[0]["seq"], json!(all["seq"].as_i64().unwrap() + 1));
        assert_eq!(single(received.last().unwrap()), (7, kettle.clone(), 51));
        served.stopped().await;
    }

    async fn invalid_messages_get_an_error_and_the_connection_stays_open(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 50).await;
        let served = Served::start(&shop).await;
        let (mut listener, _) = served.listen("").await;
        let nonsense = [
            "", "hello", "{}", "[]", "null", r#"{"type":"unsubscribe"}"#, r#"{"type":"SUBSCRIBE"}"#,
            r#"{"type":"subscribe","productIds":"all"}"#, r#"{"type":"subscribe","productIds":null}"#,
            r#"{"type":"subscribe","productIds":["1"]}"#,
            r#"{"type":"subscribe","products":[]}"#,
        ];
        for message in nonsense {
            listener.send(message).await;
            let answer = listener.receive().await;
            assert_eq!(answer["type"], "ERROR", "{message}");
            assert_eq!(answer["code"], "invalid-message", "{message}");
            listener.send(r#"{"type":"subscribe"}"#).await;
            assert_eq!(listener.receive().await["type"], "SUBSCRIBED");
        }
        change_stock(&shop.admin().await, &kettle, 1).await;
        assert_eq!(single(&listener.receive().await), (2, kettle, 51), "it still receives updates");
        served.stopped().await;
    }

    async fn repeated_invalid_messages_close_the_connection(shop: TestShop) {
        let served = Served::start(&shop).await;
        let (mut listener, _) = served.listen("").await;
        for _ in 0..10 {
            listener.send("{}").await;
            assert_eq!(listener.receive().await["type"], "ERROR");
        }
        listener.send("{}").await;
        assert_eq!(listener.close_code().await, 1008);
        served.stopped().await;
    }

    async fn pages_of_foreign_origins_are_rejected(shop: TestShop) {
        let shop = shop.with_settings(&[
            ("rate_limit", "off"),
            ("cors_origins", "https://console.example,http://127.0.0.1:3000"),
        ]).await;
        let served = Served::start(&shop).await;
        for foreign in [
            "https://evil.example", "null", "https://shop.test", "http://shop.test:81",
            "http://shop.test.evil.example", "http://evil.example/shop.test", "http://shop.tes",
            "https://console.example.evil.example", "http://console.example", "http://127.0.0.1:30",
            "", "file://", "http://a.shop.test",
        ] {
            let refused = served.connect("", &[("origin", foreign)]).await.err();
            assert_eq!(refused, Some(403), "{foreign}");
        }
        let origin = [("origin", "http://localhost:5173")];
        let refused = shop.anonymous().raw(Method::GET, "/api/v1/ws", &origin, "").await;
        refused.assert_problem(403, "forbidden");
        let detail = refused.text("/detail");
        assert!(detail.ends_with("add `http://localhost:5173` to `SHOP_CORS_ORIGINS`"), "{detail}");
        for allowed in
            ["http://shop.test", "HTTP://SHOP.TEST", "https://console.example", "http://127.0.0.1:3000"]
        {
            assert!(served.connect("", &[("origin", allowed)]).await.is_ok(), "{allowed}");
        }
        assert!(served.connect("", &[]).await.is_ok(), "a client that is not a browser");
        served.stopped().await;
    }

    async fn rolled_back_changes_are_never_sent(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 50).await;
        let ada = shop.customer("ada").await;
        ada.add_to_cart(&kettle, 2).await;
        let served = Served::start(&shop).await;
        let (mut listener, _) = served.listen("").await;
        let raw = shop.raw_db();
        // The idempotency key is stored after the event.
        raw.break_table("idempotency_answers");
        for _ in 0..5 {
            ada.checkout_with_key("key-1").await.assert_problem(500, "internal");
        }
        raw.repair_table("idempotency_answers");
        ada.checkout_with_key("key-1").await;
        assert_eq!(single(&listener.receive().await), (2, kettle, 48), "the first and the only one");
        served.stopped().await;
    }

    async fn changes_by_another_process_are_sent(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 50).await;
        let served = Served::start(&shop).await;
        let (mut listener, _) = served.listen("").await;
        let arguments = ["admin", "product", "stock", &kettle, "-7", "--reason", "broken"];
        let done = shop.run(&arguments);
        assert!(done.status.success(), "{done:?}");
        assert_eq!(single(&listener.receive().await), (2, kettle, 43));
        served.stopped().await;
    }

    async fn a_stopping_server_closes_connections_as_going_away(shop: TestShop) {
        let served = Served::start(&shop).await;
        let mut listeners: Vec<Listener> = Vec::new();
        for _ in 0..5 {
            listeners.push(served.listen("").await.0);
        }
        served.begin_stop();
        for listener in &mut listeners {
            assert_eq!(listener.close_code().await, 1001);
        }
        served.stopped().await;
    }

    async fn requests_that_are_not_handshakes_are_rejected(shop: TestShop) {
        let plain = shop.anonymous().get("/ws").await;
        plain.assert_problem(400, "invalid-header");
        let posted = shop.anonymous().post("/ws", Value::Null).await;
        posted.assert_problem(405, "method-not-allowed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_per_address_are_limited() {
    let settings = [("sockets_per_address", "3")];
    let shop = TestShop::with(
        Engine::Sqlite,
        &settings,
        shop::infra::db::Options::default(),
    )
    .await
    .unwrap();
    let served = Served::start(&shop).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(served.listen("").await.0);
    }
    assert_eq!(served.connect("", &[]).await.err(), Some(429));
    assert_eq!(served.connect("", &[]).await.err(), Some(429));
    held.pop().unwrap().leave().await;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while served.connect("", &[]).await.is_err() {
        assert!(
            tokio::time::Instant::now() < deadline,
            "the slot was not released"
        );
        tokio::task::yield_now().await;
    }
    drop(held);
    served.stopped().await;
}
