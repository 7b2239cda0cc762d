//! `Idempotency-Key` on a checkout: an order is placed once, whatever the network does.

use shop::domain::accounts::{self, Email, Role};

use super::*;

storage_test! {
    async fn a_repeat_gets_the_same_response(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let ada = shop.customer("ada").await;
        ada.add_to_cart(&kettle, 2).await;
        let first = ada.checkout_with_key("key-1").await;
        assert_eq!(first.status, 201);
        assert_eq!(first.header("idempotent-replayed"), None);

        // Later changes do not affect the replayed response.
        ada.add_to_cart(&kettle, 1).await;
        shop.capture(&first.json()).await;
        shop.advance_clock(MINUTE);
        for _ in 0..3 {
            let again = ada.checkout_with_key("key-1").await;
            assert_eq!((again.status, &again.body), (201, &first.body));
            assert_eq!(again.header("idempotent-replayed"), Some("true"));
            assert_eq!(again.header("location"), first.header("location"));
            assert_eq!(again.header("content-type"), first.header("content-type"));
        }
        assert_eq!(shop.orders(), 1);
        assert_eq!(ada.get("/cart").await.number("/itemCount"), 1, "the cart is left alone");

        let token = ada.token.clone().unwrap();
        let shop = shop.restarted().await;
        let ada = shop.bearer(&token);
        let again = ada.checkout_with_key("key-1").await;
        assert_eq!((again.status, &again.body), (201, &first.body));
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
        assert_eq!(shop.orders(), 1);
        shop.raw_db().assert_invariants();
    }

    async fn keys_belong_to_their_user(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let (ada, bob) = (shop.customer("ada").await, shop.customer("bob").await);
        for customer in [&ada, &bob] {
            customer.add_to_cart(&kettle, 1).await;
            let placed = customer.checkout_with_key("key-1").await;
            assert_eq!(placed.status, 201);
            assert_eq!(placed.header("idempotent-replayed"), None);
        }
        assert_eq!(shop.orders(), 2);
    }

    async fn a_key_expires_after_a_day(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let ada = shop.customer("ada").await;
        ada.add_to_cart(&kettle, 1).await;
        ada.checkout_with_key("key-1").await;
        shop.advance_clock(Duration::from_hours(24));
        let ada = shop.customer("ada").await;
        ada.add_to_cart(&kettle, 1).await;
        let later = ada.checkout_with_key("key-1").await;
        assert_eq!((later.status, later.header("idempotent-replayed")), (201, None));
        assert_eq!(shop.orders(), 2);
    }

    async fn fifty_concurrent_requests_place_one_order(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 500).await;
        let ada = shop.customer("ada").await;
        ada.add_to_cart(&kettle, 2).await;
        let answers =
            futures_util::future::join_all((0..50).map(|_| ada.checkout_with_key("key-1"))).await;
        for answer in &answers {
            assert_eq!((answer.status, &answer.body), (201, &answers[0].body));
        }
        let replayed =
            answers.iter().filter(|a| a.header("idempotent-replayed") == Some("true")).count();
        assert_eq!(replayed, 49);
        assert_eq!(shop.orders(), 1);
        assert_eq!(shop.stock(&kettle).await, 498);
    }

    async fn a_refused_request_does_not_use_the_key(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let ada = shop.customer("ada").await;
        ada.checkout_with_key("key-1").await.assert_problem(409, "cart-empty");
        ada.add_to_cart(&kettle, 5).await;
        let change = json!({ "delta": -1, "reason": "broken" });
        let stock = format!("/admin/products/{kettle}/stock");
        shop.admin().await.post(&stock, change).await;
        ada.checkout_with_key("key-1").await.assert_problem(409, "insufficient-stock");
        ada.patch(&format!("/cart/items/{kettle}"), json!({ "quantity": 4 })).await;
        let placed = ada.checkout_with_key("key-1").await;
        assert_eq!((placed.status, placed.header("idempotent-replayed")), (201, None));
    }

    async fn another_body_is_refused(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let ada = shop.customer("ada").await;
        ada.add_to_cart(&kettle, 1).await;
        assert_eq!(ada.checkout_with_key("key-1").await.status, 201);
        ada.add_to_cart(&kettle, 1).await;
        for body in [json!({}), json!({ "expectedTotal": 129_900 })] {
            let headers = [("idempotency-key", "key-1")];
            let refused = ada.call(Method::POST, "/orders", &headers, body).await;
            refused.assert_problem(422, "idempotency-key-reused");
        }
        assert_eq!(shop.orders(), 1);
        assert_eq!(ada.get("/cart").await.number("/itemCount"), 1);
    }

    async fn a_malformed_key_is_refused(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let ada = shop.customer("ada").await;
        ada.add_to_cart(&kettle, 1).await;
        let too_long = "k".repeat(256);
        let before = shop.raw_db().dump();
        for wrong in ["", "two words", " ", "\"\"", "\"", "\"open", "tab\there", "kéy", too_long.as_str()] {
            let refused = ada.checkout_with_key(wrong).await;
            refused.assert_problem(400, "invalid-header");
        }
        let twice = [("idempotency-key", "key-1"), ("idempotency-key", "key-1")];
        let refused = ada.call(Method::POST, "/orders", &twice, Value::Null).await;
        refused.assert_problem(400, "invalid-header");
        assert_eq!(shop.raw_db().dump(), before);

        let longest = "k".repeat(255);
        let placed = ada.checkout_with_key(&longest).await;
        assert_eq!(placed.status, 201);
        let quoted = ada.checkout_with_key(&format!("\"{longest}\"")).await;
        assert_eq!(quoted.body, placed.body, "quoted or bare, it is one key");
        assert_eq!(quoted.header("idempotent-replayed"), Some("true"));
        assert_eq!(shop.orders(), 1);
    }

    async fn a_key_does_not_outlive_the_session(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let ada = shop.customer("ada").await;
        ada.add_to_cart(&kettle, 1).await;
        ada.checkout_with_key("key-1").await;
        let email = Email::parse("ada@example.com").unwrap();
        let moved = shop.app.db.write("test.role", move |tx| {
            let user = accounts::user_by_email(tx, &email)?;
            accounts::set_role(tx, user.id, Role::Admin)
        });
        moved.await.unwrap();
        ada.checkout_with_key("key-1").await.assert_problem(401, "unauthorized");
    }

    async fn a_key_works_for_stock_changes(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let admin = shop.admin().await;
        let headers = [("idempotency-key", "key-1")];
        let path = format!("/admin/products/{kettle}/stock");
        let change = json!({ "delta": 3, "reason": "found" });
        let first = admin.call(Method::POST, &path, &headers, change.clone()).await;
        let again = admin.call(Method::POST, &path, &headers, change).await;
        assert_eq!((first.status, again.status), (200, 200));
        assert_eq!(first.body, again.body);
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
        assert_eq!(shop.stock(&kettle).await, 8);

        let mug = shop.product("Mug", 30_000, 1).await;
        let other = format!("/admin/products/{mug}/stock");
        let change = json!({ "delta": 3, "reason": "found" });
        let elsewhere = admin.call(Method::POST, &other, &headers, change).await;
        assert_eq!(elsewhere.header("idempotent-replayed"), None, "keys belong to a path");
        assert_eq!(shop.stock(&mug).await, 4);
    }

    async fn another_spelling_of_an_id_does_not_bypass_a_key(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let ada = shop.customer("ada").await;
        let order = ada.place_order(&kettle, 1).await;
        shop.capture(&order).await;
        let admin = shop.admin().await;
        let id = order["id"].as_str().unwrap();
        let refund = async |id: &str| {
            let path = format!("/admin/orders/{id}/refund");
            let headers = [("idempotency-key", "key-1")];
            admin.call(Method::POST, &path, &headers, json!({ "amount": 100 })).await
        };
        let first = refund(id).await;
        assert_eq!(first.status, 200, "{first:?}");
        for other in [
            id.to_uppercase(), id.replace('-', ""), format!("{{{id}}}"), format!("urn:uuid:{id}"),
        ] {
            refund(&other).await.assert_problem(404, "not-found");
        }
        // Percent-encoding is another spelling of the URL, not of the id.
        let encoded = format!("%{:02x}{}", id.as_bytes()[0], &id[1..]);
        let again = refund(&encoded).await;
        assert_eq!((again.status, &again.body), (200, &first.body));
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
        let read = admin.get(&format!("/admin/orders/{id}")).await;
        assert_eq!(read.number("/payment/refundedAmount"), 100);
    }

    async fn an_id_has_one_spelling(shop: TestShop) {
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let ada = shop.customer("ada").await;
        ada.add_to_cart(&kettle, 1).await;
        for other in [kettle.to_uppercase(), kettle.replace('-', "")] {
            ada.get(&format!("/products/{other}")).await.assert_problem(404, "not-found");
            ada.delete(&format!("/cart/items/{other}")).await.assert_problem(404, "not-found");
            let added = ada.post("/cart", json!({ "productId": other })).await;
            added.assert_invalid_field("productId");
        }
        assert_eq!(ada.get("/cart").await.number("/itemCount"), 1);
    }
}
