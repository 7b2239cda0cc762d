//! Who somebody is, and what they were answered, holds on every instance.

use http::Method;
use serde_json::json;

use crate::support::{
    Answer, Client, Form, TestShop, pictures, postgres_test, provider::WEBHOOK, provider::event,
};

/// Signs in with the password that every customer of a story has; tells the whole answer.
async fn signs_in(shop: &TestShop, name: &str) -> Answer {
    let body = json!({
        "email": format!("{name}@example.com"), "password": "correct horse battery",
    });
    let signed_in = shop.anonymous().post("/auth/login", body).await;
    assert_eq!(signed_in.status, 200, "{signed_in:?}");
    signed_in
}

async fn refreshes(shop: &TestShop, token: &str) -> Answer {
    let body = json!({ "refreshToken": token });
    shop.anonymous().post("/auth/refresh", body).await
}

postgres_test! {
    async fn a_session_of_one_instance_is_good_on_another(shop: TestShop) {
        let other = shop.another().await;
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

    async fn who_signs_out_on_one_instance_is_out_on_another(shop: TestShop) {
        let other = shop.another().await;
        shop.customer("ada").await;
        let signed_in = signs_in(&shop, "ada").await;
        let there = other.bearer(&signed_in.text("/accessToken"));
        // Used there before, so that what an instance remembers of a token is not trusted either.
        assert_eq!(there.get("/me").await.status, 200);
        let refresh = signed_in.text("/refreshToken");
        let left = shop.anonymous().post("/auth/logout", json!({ "refreshToken": refresh })).await;
        assert_eq!(left.status, 204);
        there.get("/me").await.is_problem(401, "unauthorized");
        refreshes(&other, &refresh).await.is_problem(401, "invalid-token");
    }

    async fn a_refresh_token_is_spent_on_every_instance(shop: TestShop) {
        let other = shop.another().await;
        shop.customer("ada").await;
        let first = signs_in(&shop, "ada").await.text("/refreshToken");
        let second = refreshes(&other, &first).await;
        assert_eq!(second.status, 200, "{second:?}");
        let me = shop.bearer(&second.text("/accessToken")).get("/me").await;
        assert_eq!(me.status, 200, "{me:?}");
        let third = refreshes(&shop, &second.text("/refreshToken")).await;
        assert_eq!(third.status, 200, "{third:?}");
        let spent = second.text("/refreshToken");
        refreshes(&other, &spent).await.is_problem(401, "invalid-token");
    }

    async fn of_two_refreshes_at_once_on_two_instances_one_wins(shop: TestShop) {
        let other = shop.another().await;
        shop.customer("ada").await;
        for _ in 0..5 {
            let token = signs_in(&shop, "ada").await.text("/refreshToken");
            let (here, there) = tokio::join!(refreshes(&shop, &token), refreshes(&other, &token));
            let mut statuses = [here.status, there.status];
            statuses.sort_unstable();
            assert_eq!(statuses, [200, 401], "{here:?} {there:?}");
        }
    }

    async fn a_role_given_through_one_instance_counts_on_another(shop: TestShop) {
        let other = shop.another().await;
        shop.admin().await;
        let ada = shop.customer("ada").await;
        let product = || json!({ "name": "Mug", "price": 30_000 });
        ada.on(&other).post("/products", product()).await.is_problem(403, "forbidden");

        // The command line is an instance too.
        let done = shop.run(&["admin", "user", "role", "ada@example.com", "ADMIN"]);
        assert!(done.status.success(), "{done:?}");
        for shop in [&shop, &other] {
            ada.on(shop).get("/me").await.is_problem(401, "unauthorized");
        }
        let token = signs_in(&other, "ada").await.text("/accessToken");
        assert_eq!(shop.bearer(&token).post("/products", product()).await.status, 201);
        assert_eq!(other.bearer(&token).post("/products", product()).await.status, 201);

        let done = shop.run(&["admin", "user", "role", "ada@example.com", "CUSTOMER"]);
        assert!(done.status.success(), "{done:?}");
        for shop in [&shop, &other] {
            shop.bearer(&token).post("/products", product()).await.is_problem(401, "unauthorized");
        }
    }

    async fn an_address_is_one_account_on_all_instances(shop: TestShop) {
        let other = shop.another().await;
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

    async fn a_key_given_to_one_instance_is_known_to_another(shop: TestShop) {
        let other = shop.another().await;
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let ada = shop.customer("ada").await;
        ada.add_to_cart(&kettle, 2).await;
        let first = ada.checks_out_once("key-1").await;
        assert_eq!((first.status, first.header("idempotent-replayed")), (201, None));
        for shop in [&other, &shop, &other] {
            let again = ada.on(shop).checks_out_once("key-1").await;
            assert_eq!((again.status, &again.body), (201, &first.body));
            assert_eq!(again.header("idempotent-replayed"), Some("true"));
            assert_eq!(again.header("location"), first.header("location"));
        }
        let headers = [("idempotency-key", "key-1")];
        let other_body = json!({ "expectedTotal": 1 });
        let refused = ada.on(&other).call(Method::POST, "/orders", &headers, other_body).await;
        refused.is_problem(422, "idempotency-key-reused");
        assert_eq!(shop.orders(), 1);
    }

    async fn a_key_at_once_on_all_instances_gets_one_answer(shop: TestShop) {
        let others = [shop.another().await, shop.another().await];
        let kettle = shop.product("Kettle", 129_900, 500).await;
        let ada = shop.customer("ada").await;
        for turn in 1..=5 {
            ada.add_to_cart(&kettle, 2).await;
            let key = format!("key-{turn}");
            let shops = [&shop, &others[0], &others[1]];
            let everywhere: Vec<Client<'_>> =
                (0..30).map(|number| ada.on(shops[number % 3])).collect();
            let asked = everywhere.iter().map(|ada| ada.checks_out_once(&key));
            let answers = futures_util::future::join_all(asked).await;
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
        shop.raw_db().assert_sound();
    }

    async fn ten_pieces_go_to_ten_at_whichever_instance(shop: TestShop) {
        let other = shop.another().await;
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
            refused.is_problem(409, "insufficient-stock");
        }
        assert_eq!(other.stock(&kettle).await, 0);
        shop.raw_db().assert_sound();
    }

    async fn the_provider_may_speak_to_any_instance(shop: TestShop) {
        let other = shop.another().await;
        let kettle = shop.product("Kettle", 129_900, 5).await;
        let ada = shop.customer("ada").await;
        let order = ada.place_order(&kettle, 1).await;
        // Signed by the secret that the first instance shows its operator.
        let body = event("payment.captured", &order, "pay_1").to_string();
        let signature = shop.signature(body.as_bytes());
        let headers = [("x-razorpay-signature", signature.as_str())];
        let told = other.anonymous().raw(Method::POST, WEBHOOK, &headers, body).await;
        assert_eq!(told.status, 200, "{told:?}");
        let path = format!("/orders/{}", order["id"].as_str().unwrap());
        assert_eq!(ada.get(&path).await.text("/status"), "PAID");
    }

    async fn a_picture_given_to_one_instance_is_shown_by_another(shop: TestShop) {
        let other = shop.another().await;
        let form = Form::default().text("name", "Kettle").text("price", "500");
        let form = form.image(&pictures::png());
        let made = shop.admin().await.upload(Method::POST, "/products", &[], form).await;
        assert_eq!(made.status, 201, "{made:?}");
        let url = made.text("/images/0/url");
        let path = url.strip_prefix("http://shop.test").unwrap();
        let (here, there) = (shop.anonymous().get(path).await, other.anonymous().get(path).await);
        assert_eq!((here.status, there.status), (200, 200));
        assert_eq!(here.body, there.body);
        let mark = other.anonymous().get("/images/.mark").await;
        mark.is_problem(404, "not-found");
    }
}
