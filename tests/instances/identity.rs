//! Sessions, roles, idempotency keys and images are valid on every instance.

use http::Method;
use serde_json::json;

use crate::support::{
    Client, Form, TestResponse, TestShop, images, postgres_test, provider::WEBHOOK, provider::event,
};

/// Logs in with the test customers' password. Returns the response.
async fn log_in(shop: &TestShop, name: &str) -> TestResponse {
    let body = json!({
        "email": format!("{name}@example.com"), "password": "correct horse battery",
    });
    let signed_in = shop.anonymous().post("/auth/login", body).await;
    assert_eq!(signed_in.status, 200, "{signed_in:?}");
    signed_in
}

async fn refresh(shop: &TestShop, token: &str) -> TestResponse {
    let body = json!({ "refreshToken": token });
    shop.anonymous().post("/auth/refresh", body).await
}

postgres_test! {
    async fn a_session_of_one_instance_is_valid_on_another(shop: TestShop) {
        let other = shop.another_instance().await;
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let ada = shop.customer("ada").await;
        let there = ada.on(&other);
        ada.add_to_cart(&kettle, 1).await;
        there.add_to_cart(&kettle, 1).await;
        assert_eq!(ada.get("/cart").await.number("/itemCount"), 2, "one cart");
        let order = there.checkout().await;
        assert_eq!(order.status, 201, "{order:?}");
        let path = format!("/orders/{}", order.text("/id"));
        assert_eq!(ada.get(&path).await.body, order.body);
        assert_eq!(shop.stock(&kettle).await, 3);
        assert_eq!(other.stock(&kettle).await, 3);
        assert_eq!(ada.get("/me").await.body, there.get("/me").await.body);
    }

    async fn a_logout_on_one_instance_ends_the_session_on_another(shop: TestShop) {
        let other = shop.another_instance().await;
        shop.customer("ada").await;
        let signed_in = log_in(&shop, "ada").await;
        let there = other.bearer(&signed_in.text("/accessToken"));
        // Used there before, so that the instance's token cache is covered, too.
        assert_eq!(there.get("/me").await.status, 200);
        let refresh_token = signed_in.text("/refreshToken");
        let logout = json!({ "refreshToken": refresh_token });
        let logged_out = shop.anonymous().post("/auth/logout", logout).await;
        assert_eq!(logged_out.status, 204);
        there.get("/me").await.assert_problem(401, "unauthorized");
        refresh(&other, &refresh_token).await.assert_problem(401, "invalid-token");
    }

    async fn a_refresh_token_is_spent_on_every_instance(shop: TestShop) {
        let other = shop.another_instance().await;
        shop.customer("ada").await;
        let first = log_in(&shop, "ada").await.text("/refreshToken");
        let second = refresh(&other, &first).await;
        assert_eq!(second.status, 200, "{second:?}");
        let me = shop.bearer(&second.text("/accessToken")).get("/me").await;
        assert_eq!(me.status, 200, "{me:?}");
        let third = refresh(&shop, &second.text("/refreshToken")).await;
        assert_eq!(third.status, 200, "{third:?}");
        let spent = second.text("/refreshToken");
        refresh(&other, &spent).await.assert_problem(401, "invalid-token");
    }

    async fn one_of_two_concurrent_refreshes_on_two_instances_wins(shop: TestShop) {
        let other = shop.another_instance().await;
        shop.customer("ada").await;
        for _ in 0..5 {
            let token = log_in(&shop, "ada").await.text("/refreshToken");
            let (here, there) = tokio::join!(refresh(&shop, &token), refresh(&other, &token));
            let mut statuses = [here.status, there.status];
            statuses.sort_unstable();
            assert_eq!(statuses, [200, 401], "{here:?} {there:?}");
        }
    }

    async fn a_role_granted_on_one_instance_applies_on_another(shop: TestShop) {
        let other = shop.another_instance().await;
        shop.admin().await;
        let ada = shop.customer("ada").await;
        let product = || json!({ "name": "Mug", "price": 30_000 });
        ada.on(&other).post("/products", product()).await.assert_problem(403, "forbidden");

        // A command is an instance, too.
        let done = shop.run(&["admin", "user", "role", "ada@example.com", "ADMIN"]);
        assert!(done.status.success(), "{done:?}");
        for shop in [&shop, &other] {
            ada.on(shop).get("/me").await.assert_problem(401, "unauthorized");
        }
        let token = log_in(&other, "ada").await.text("/accessToken");
        assert_eq!(shop.bearer(&token).post("/products", product()).await.status, 201);
        assert_eq!(other.bearer(&token).post("/products", product()).await.status, 201);

        let done = shop.run(&["admin", "user", "role", "ada@example.com", "CUSTOMER"]);
        assert!(done.status.success(), "{done:?}");
        for shop in [&shop, &other] {
            shop.bearer(&token).post("/products", product()).await.assert_problem(401, "unauthorized");
        }
    }

    async fn an_email_is_registered_once_across_instances(shop: TestShop) {
        let other = shop.another_instance().await;
        let account = json!({
            "email": "ada@example.com", "password": "correct horse battery", "name": "Ada",
        });
        let (there, here) = (other.anonymous(), shop.anonymous());
        let (first, second) = tokio::join!(
            here.post("/auth/register", account.clone()),
            there.post("/auth/register", account.clone()),
        );
        let mut statuses = [first.status, second.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409], "{first:?} {second:?}");
        assert_eq!(shop.raw_db().number("SELECT count(*) FROM users"), 1);
    }

    async fn an_idempotency_key_used_on_one_instance_is_replayed_by_another(shop: TestShop) {
        let other = shop.another_instance().await;
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let ada = shop.customer("ada").await;
        ada.add_to_cart(&kettle, 2).await;
        let first = ada.checkout_with_key("key-1").await;
        assert_eq!((first.status, first.header("idempotent-replayed")), (201, None));
        for shop in [&other, &shop, &other] {
            let again = ada.on(shop).checkout_with_key("key-1").await;
            assert_eq!((again.status, &again.body), (201, &first.body));
            assert_eq!(again.header("idempotent-replayed"), Some("true"));
            assert_eq!(again.header("location"), first.header("location"));
        }
        let headers = [("idempotency-key", "key-1")];
        let other_body = json!({ "expectedTotal": 1 });
        let refused = ada.on(&other).call(Method::POST, "/orders", &headers, other_body).await;
        refused.assert_problem(422, "idempotency-key-reused");
        assert_eq!(shop.orders(), 1);
    }

    async fn concurrent_requests_with_one_key_on_all_instances_get_one_response(shop: TestShop) {
        let others = [shop.another_instance().await, shop.another_instance().await];
        let kettle = shop.product("Kettle", 129_900, 500).await;
        let ada = shop.customer("ada").await;
        for turn in 1..=5 {
            ada.add_to_cart(&kettle, 2).await;
            let key = format!("key-{turn}");
            let shops = [&shop, &others[0], &others[1]];
            let clients: Vec<Client<'_>> =
                (0..30).map(|number| ada.on(shops[number % 3])).collect();
            let requests = clients.iter().map(|ada| ada.checkout_with_key(&key));
            let answers = futures_util::future::join_all(requests).await;
            for answer in &answers {
                assert_eq!((answer.status, &answer.body), (201, &answers[0].body));
            }
            let replayed = answers
                .iter()
                .filter(|answer| answer.header("idempotent-replayed") == Some("true"));
            assert_eq!(replayed.count(), 29);
            assert_eq!(shop.orders(), turn);
        }
        assert_eq!(shop.stock(&kettle).await, 490);
        shop.raw_db().assert_invariants();
    }

    async fn ten_items_are_sold_ten_times_across_instances(shop: TestShop) {
        let other = shop.another_instance().await;
        let kettle = shop.product("Kettle", 129_900, 10).await;
        let mut customers = Vec::new();
        for number in 0..100 {
            let customer = shop.customer(&format!("customer{number}")).await;
            customer.add_to_cart(&kettle, 1).await;
            customers.push(customer.on(if number % 2 == 0 { &shop } else { &other }));
        }
        let answers =
            futures_util::future::join_all(customers.iter().map(Client::checkout)).await;
        assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 10);
        for refused in answers.iter().filter(|answer| answer.status != 201) {
            refused.assert_problem(409, "insufficient-stock");
        }
        assert_eq!(other.stock(&kettle).await, 0);
        shop.raw_db().assert_invariants();
    }

    async fn any_instance_accepts_a_webhook(shop: TestShop) {
        let other = shop.another_instance().await;
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let ada = shop.customer("ada").await;
        let order = ada.place_order(&kettle, 1).await;
        // Signed with the first instance's secret.
        let body = event("payment.captured", &order, "pay_1").to_string();
        let signature = shop.signature(body.as_bytes());
        let headers = [("x-razorpay-signature", signature.as_str())];
        let response = other.anonymous().raw(Method::POST, WEBHOOK, &headers, body).await;
        assert_eq!(response.status, 200, "{response:?}");
        let path = format!("/orders/{}", order["id"].as_str().unwrap());
        assert_eq!(ada.get(&path).await.text("/status"), "PAID");
    }

    async fn an_image_uploaded_to_one_instance_is_served_by_another(shop: TestShop) {
        let other = shop.another_instance().await;
        let form = Form::default().text("name", "Kettle").text("price", "500");
        let form = form.image(&images::png());
        let made = shop.admin().await.upload(Method::POST, "/products", &[], form).await;
        assert_eq!(made.status, 201, "{made:?}");
        let url = made.text("/images/0/url");
        let path = url.strip_prefix("http://shop.test").unwrap();
        let (here, there) = (shop.anonymous().get(path).await, other.anonymous().get(path).await);
        assert_eq!((here.status, there.status), (200, 200));
        assert_eq!(here.body, there.body);
        let mark = other.anonymous().get("/images/.mark").await;
        mark.assert_problem(404, "not-found");
    }
}
