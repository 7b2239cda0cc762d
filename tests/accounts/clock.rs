//! Changes of the system clock while the shop runs.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};

use super::{PASSWORD, ada, log_in};
use crate::support::{TestShop, storage_test};

const HOUR: Duration = Duration::from_hours(1);
const YEAR: Duration = Duration::from_hours(365 * 24);

async fn step_clock(shop: &TestShop, forward: bool) {
    if forward {
        shop.app.clock.advance(YEAR);
    } else {
        shop.app.clock.set_back(HOUR);
    }
    // The hourly task runs as well.
    shop::worker::clean_up(&shop.app).await;
}

storage_test! {
    async fn clock_changes_do_not_break_sessions(shop: TestShop) {
        let anonymous = shop.anonymous();
        assert_eq!(anonymous.post("/auth/register", ada()).await.status, 201);
        let first = log_in(&anonymous, "ada@example.com", PASSWORD).await;
        let token = shop.emailed_token("ada@example.com").await;

        step_clock(&shop, false).await;
        let before = log_in(&anonymous, "ada@example.com", PASSWORD).await;
        for signed_in in [&first, &before] {
            let ada = shop.bearer(&signed_in.text("/accessToken"));
            assert_eq!(ada.get("/me").await.status, 200, "an hour earlier");
        }
        let body = json!({ "refreshToken": before.text("/refreshToken") });
        assert_eq!(anonymous.post("/auth/refresh", body).await.status, 200);

        step_clock(&shop, true).await;
        for signed_in in [&first, &before] {
            let ada = shop.bearer(&signed_in.text("/accessToken"));
            ada.get("/me").await.assert_problem(401, "unauthorized");
            let body = json!({ "refreshToken": signed_in.text("/refreshToken") });
            anonymous.post("/auth/refresh", body).await.assert_problem(401, "invalid-token");
        }
        anonymous.post("/auth/verify-email", json!({ "token": token })).await
            .assert_problem(400, "invalid-token");
        let last = log_in(&anonymous, "ada@example.com", PASSWORD).await;
        assert_eq!(last.status, 200, "a year later");
    }

    async fn ids_are_unique_under_any_clock(shop: TestShop) {
        let admin = shop.admin().await;
        let mut ids = BTreeSet::new();
        for round in 0..4 {
            for number in 0..25 {
                let body = json!({ "name": format!("Kettle {round} {number}"), "price": 100 });
                let created = admin.post("/products", body).await;
                assert_eq!(created.status, 201, "{created:?}");
                assert!(ids.insert(created.text("/id")));
            }
            shop.app.clock.set_back(Duration::from_millis(1));
        }
    }

    async fn rate_limits_use_a_monotonic_clock(shop: TestShop) {
        let shop = shop.with_settings(&[("rate_limit", "on")]).await;
        let anonymous = shop.anonymous().at("203.0.113.9");
        let mut last = anonymous.post("/auth/verify-email", Value::Null).await;
        for _ in 0..100 {
            if last.status == 429 {
                break;
            }
            last = anonymous.post("/auth/verify-email", Value::Null).await;
        }
        assert_eq!(last.status, 429);
        for forward in [true, false, true] {
            step_clock(&shop, forward).await;
            let mut allowed = 0;
            // The limit refills slowly in real time.
            while anonymous.post("/auth/verify-email", Value::Null).await.status != 429 {
                allowed += 1;
                assert!(allowed < 15, "the clock change reset the limit");
            }
        }
    }

    async fn clock_changes_neither_lock_out_nor_bypass_login_limits(shop: TestShop) {
        let shop = shop.with_settings(&[("rate_limit", "on")]).await;
        shop.customer("ada").await;
        let guess = async |number: u32, password: &str| {
            let anonymous = shop.anonymous().at(&format!("203.0.113.{number}"));
            log_in(&anonymous, "ada@example.com", password).await.status
        };
        for number in 0..60 {
            assert_eq!(guess(number, "wrong horse battery").await, 401);
        }
        assert_eq!(guess(60, PASSWORD).await, 429);
        // After the clock was set back, a new window starts: nobody waits for the same hour twice.
        step_clock(&shop, false).await;
        assert_eq!(guess(61, PASSWORD).await, 200);
        step_clock(&shop, true).await;
        assert_eq!(guess(62, PASSWORD).await, 200);
    }
}
