//! Clocks that are stepped while the shop runs.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};

use super::{PASSWORD, ada, log_in};
use crate::support::{TestShop, storage_test};

const HOUR: Duration = Duration::from_hours(1);
const YEAR: Duration = Duration::from_hours(365 * 24);

async fn step(shop: &TestShop, forward: bool) {
    if forward {
        shop.app.clock.advance(YEAR);
    } else {
        shop.app.clock.set_back(HOUR);
    }
    // What the hour brings comes as well.
    shop::worker::clean_up(&shop.app).await;
}

storage_test! {
    async fn a_clock_that_is_stepped_confuses_no_session(shop: TestShop) {
        let visitor = shop.anonymous();
        assert_eq!(visitor.post("/auth/register", ada()).await.status, 201);
        let first = log_in(&visitor, "ada@example.com", PASSWORD).await;
        let token = shop.token_mailed("ada@example.com").await;

        step(&shop, false).await;
        let before = log_in(&visitor, "ada@example.com", PASSWORD).await;
        for signed_in in [&first, &before] {
            let ada = shop.bearer(&signed_in.text("/accessToken"));
            assert_eq!(ada.get("/me").await.status, 200, "an hour earlier");
        }
        let body = json!({ "refreshToken": before.text("/refreshToken") });
        assert_eq!(visitor.post("/auth/refresh", body).await.status, 200);

        step(&shop, true).await;
        for signed_in in [&first, &before] {
            let ada = shop.bearer(&signed_in.text("/accessToken"));
            ada.get("/me").await.is_problem(401, "unauthorized");
            let body = json!({ "refreshToken": signed_in.text("/refreshToken") });
            visitor.post("/auth/refresh", body).await.is_problem(401, "invalid-token");
        }
        visitor.post("/auth/verify-email", json!({ "token": token })).await
            .is_problem(400, "invalid-token");
        let last = log_in(&visitor, "ada@example.com", PASSWORD).await;
        assert_eq!(last.status, 200, "a year later");
    }

    async fn ids_are_unique_under_any_clock(shop: TestShop) {
        let admin = shop.admin().await;
        let mut ids = BTreeSet::new();
        for round in 0..4 {
            for number in 0..25 {
                let body = json!({ "name": format!("Kettle {round} {number}"), "price": 100 });
                let made = admin.post("/products", body).await;
                assert_eq!(made.status, 201, "{made:?}");
                assert!(ids.insert(made.text("/id")));
            }
            shop.app.clock.set_back(Duration::from_millis(1));
        }
    }

    async fn limits_keep_to_a_clock_that_nobody_steps(shop: TestShop) {
        let shop = shop.with_settings(&[("rate_limit", "on")]).await;
        let visitor = shop.anonymous().at("203.0.113.9");
        let mut last = visitor.post("/auth/verify-email", Value::Null).await;
        for _ in 0..100 {
            if last.status == 429 {
                break;
            }
            last = visitor.post("/auth/verify-email", Value::Null).await;
        }
        assert_eq!(last.status, 429);
        for forward in [true, false, true] {
            step(&shop, forward).await;
            let mut let_through = 0;
            // A trickle is let through in real time, which takes its course.
            while visitor.post("/auth/verify-email", Value::Null).await.status != 429 {
                let_through += 1;
                assert!(let_through < 15, "a step of the clock opens the gate");
            }
        }
    }

    async fn a_step_neither_locks_out_nor_lets_in(shop: TestShop) {
        let shop = shop.with_settings(&[("rate_limit", "on")]).await;
        shop.customer("ada").await;
        let guess = async |number: u32, password: &str| {
            let visitor = shop.anonymous().at(&format!("203.0.113.{number}"));
            log_in(&visitor, "ada@example.com", password).await.status
        };
        for number in 0..60 {
            assert_eq!(guess(number, "wrong horse battery").await, 401);
        }
        assert_eq!(guess(60, PASSWORD).await, 429);
        // Set back, the window is a new one: nobody waits for an hour that has to come again.
        step(&shop, false).await;
        assert_eq!(guess(61, PASSWORD).await, 200);
        step(&shop, true).await;
        assert_eq!(guess(62, PASSWORD).await, 200);
    }
}
