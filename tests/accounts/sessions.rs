//! The end of sessions: logout, refresh-token reuse, password changes, disabled accounts and expiry.

use std::{sync::Arc, time::Duration};

use http::Method;
use serde_json::{Value, json};

use super::{PASSWORD, log_in};
use crate::support::{TestResponse, TestShop, storage_test};

/// Signs in again; returns the response.
async fn sign_in(shop: &TestShop, name: &str) -> TestResponse {
    let signed_in = log_in(&shop.anonymous(), &format!("{name}@example.com"), PASSWORD).await;
    assert_eq!(signed_in.status, 200, "{signed_in:?}");
    signed_in
}

async fn refresh(shop: &TestShop, token: &str) -> TestResponse {
    let body = json!({ "refreshToken": token });
    shop.anonymous().post("/auth/refresh", body).await
}

/// Whether the access token of a login is valid.
async fn is_active(shop: &TestShop, signed_in: &TestResponse) -> bool {
    let me = shop
        .bearer(&signed_in.text("/accessToken"))
        .get("/me")
        .await;
    if me.status != 200 {
        me.assert_problem(401, "unauthorized");
    }
    me.status == 200
}

/// Asserts that both tokens of a login are rejected.
async fn assert_ended(shop: &TestShop, signed_in: &TestResponse) {
    assert!(
        !is_active(shop, signed_in).await,
        "the access token is still valid"
    );
    let again = refresh(shop, &signed_in.text("/refreshToken")).await;
    again.assert_problem(401, "invalid-token");
}

async fn change_password(
    shop: &TestShop,
    by: &TestResponse,
    current: &str,
    new: &str,
) -> TestResponse {
    let body = json!({ "currentPassword": current, "newPassword": new });
    let client = shop.bearer(&by.text("/accessToken"));
    client.call(Method::PUT, "/me/password", &[], body).await
}

storage_test! {
    async fn reuse_of_a_token_after_its_successor_was_spent_ends_the_session(shop: TestShop) {
        shop.customer("ada").await;
        let first = sign_in(&shop, "ada").await;
        let other = sign_in(&shop, "ada").await;
        let second = refresh(&shop, &first.text("/refreshToken")).await;
        let third = refresh(&shop, &second.text("/refreshToken")).await;
        assert_eq!(third.status, 200);

        refresh(&shop, &first.text("/refreshToken")).await.assert_problem(401, "invalid-token");
        for signed_in in [&first, &second, &third] {
            assert_ended(&shop, signed_in).await;
        }
        assert!(is_active(&shop, &other).await, "other sessions are not affected");
    }

    async fn reuse_of_a_token_after_the_grace_period_ends_the_session(shop: TestShop) {
        shop.customer("ada").await;
        let first = sign_in(&shop, "ada").await;
        let second = refresh(&shop, &first.text("/refreshToken")).await;
        shop.advance_clock(Duration::from_secs(10));
        refresh(&shop, &first.text("/refreshToken")).await.assert_problem(401, "invalid-token");
        assert!(is_active(&shop, &second).await, "the response may have been lost");
        shop.advance_clock(Duration::from_millis(1));
        refresh(&shop, &first.text("/refreshToken")).await.assert_problem(401, "invalid-token");
        assert_ended(&shop, &second).await;
    }

    async fn only_one_of_two_concurrent_refreshes_succeeds(shop: TestShop) {
        shop.customer("ada").await;
        let token = sign_in(&shop, "ada").await.text("/refreshToken");
        let shop = Arc::new(shop);
        let mut both = tokio::task::JoinSet::new();
        for _ in 0..2 {
            let (shop, token) = (Arc::clone(&shop), token.clone());
            both.spawn(async move { refresh(&shop, &token).await });
        }
        let answers = both.join_all().await;
        let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|it| it.status == 200);
        assert_eq!((won.len(), lost.len()), (1, 1), "{answers:?}");
        lost[0].assert_problem(401, "invalid-token");
        assert!(is_active(&shop, won[0]).await);
        assert_eq!(refresh(&shop, &won[0].text("/refreshToken")).await.status, 200);
    }

    async fn a_spent_token_can_still_log_out(shop: TestShop) {
        shop.customer("ada").await;
        let first = sign_in(&shop, "ada").await;
        let second = refresh(&shop, &first.text("/refreshToken")).await;
        let body = json!({ "refreshToken": first.text("/refreshToken") });
        assert_eq!(shop.anonymous().post("/auth/logout", body).await.status, 204);
        assert_ended(&shop, &second).await;
        let nobody = json!({ "refreshToken": "unknown" });
        assert_eq!(shop.anonymous().post("/auth/logout", nobody).await.status, 204);
    }

    async fn logout_ends_only_its_session(shop: TestShop) {
        shop.customer("ada").await;
        let (laptop, phone) = (sign_in(&shop, "ada").await, sign_in(&shop, "ada").await);
        let body = json!({ "refreshToken": laptop.text("/refreshToken") });
        assert_eq!(shop.anonymous().post("/auth/logout", body).await.status, 204);
        assert_ended(&shop, &laptop).await;
        assert!(is_active(&shop, &phone).await);
    }

    async fn a_password_change_ends_the_other_sessions(shop: TestShop) {
        shop.customer("ada").await;
        let (laptop, phone) = (sign_in(&shop, "ada").await, sign_in(&shop, "ada").await);
        let changed = change_password(&shop, &laptop, PASSWORD, "a brand new staple").await;
        assert_eq!((changed.status, changed.body.len()), (204, 0));
        assert_ended(&shop, &phone).await;
        assert!(is_active(&shop, &laptop).await, "the current session continues");
        assert_eq!(refresh(&shop, &laptop.text("/refreshToken")).await.status, 200);

        let anonymous = shop.anonymous();
        let old = log_in(&anonymous, "ada@example.com", PASSWORD).await;
        old.assert_problem(401, "invalid-credentials");
        let new = log_in(&anonymous, "ada@example.com", "a brand new staple").await;
        assert_eq!(new.status, 200);
        let emails = shop.sent_emails().await;
        let notices: Vec<_> = emails.iter().filter(|it| it.subject.contains("password")).collect();
        assert_eq!(notices.len(), 1, "{emails:?}");
        assert_eq!(notices[0].to, "ada@example.com");
    }

    async fn a_password_change_requires_the_current_password(shop: TestShop) {
        shop.customer("ada").await;
        let laptop = sign_in(&shop, "ada").await;
        for wrong in ["wrong horse battery", "", "x"] {
            let refused = change_password(&shop, &laptop, wrong, "a brand new staple").await;
            assert_eq!(refused.status, 422, "{refused:?}");
            refused.assert_invalid_field("currentPassword");
        }
        for weak in ["short", "password1", "I am ada@home", &"x".repeat(129)] {
            let refused = change_password(&shop, &laptop, PASSWORD, weak).await;
            assert_eq!(refused.status, 422, "{weak}: {refused:?}");
            refused.assert_invalid_field("newPassword");
        }
        let refused = change_password(&shop, &laptop, "x", "I am ada@home").await;
        assert_eq!(refused.invalid_fields(), ["currentPassword", "newPassword"], "{refused:?}");
        assert!(shop.sent_emails().await.is_empty());
        let nobody = shop.anonymous();
        let body = json!({ "currentPassword": PASSWORD, "newPassword": "a brand new staple" });
        nobody.call(Method::PUT, "/me/password", &[], body).await.assert_problem(401, "unauthorized");
    }

    async fn a_disabled_account_cannot_sign_in(shop: TestShop) {
        shop.customer("ada").await;
        let laptop = sign_in(&shop, "ada").await;
        let ran = shop.run(&["admin", "user", "disable", "ADA@example.com"]);
        assert!(ran.status.success(), "{ran:?}");
        assert_ended(&shop, &laptop).await;
        let anonymous = shop.anonymous();
        let id = [("x-request-id", "the-same")];
        let body = json!({ "email": "ada@example.com", "password": PASSWORD });
        let disabled = anonymous.call(Method::POST, "/auth/login", &id, body).await;
        let body = json!({ "email": "nobody@example.com", "password": PASSWORD });
        let unknown = anonymous.call(Method::POST, "/auth/login", &id, body).await;
        disabled.assert_problem(401, "invalid-credentials");
        // A proxy adds the time.
        let headers = [&disabled, &unknown].map(|answer| {
            let mut headers = answer.headers.clone();
            headers.remove("date");
            headers
        });
        assert_eq!((&headers[0], disabled.body), (&headers[1], unknown.body));
        let forgot = json!({ "email": "ada@example.com" });
        assert_eq!(anonymous.post("/auth/forgot-password", forgot).await.status, 202);
        assert!(shop.sent_emails().await.is_empty(), "a disabled account gets no reset link");

        assert!(shop.run(&["admin", "user", "enable", "ada@example.com"]).status.success());
        sign_in(&shop, "ada").await;
    }

    async fn a_concurrent_login_does_not_survive_the_disabling_of_its_account(shop: TestShop) {
        shop.customer("ada").await;
        let shop = Arc::new(shop);
        let email = shop::domain::accounts::Email::parse("ada@example.com").unwrap();
        let set = async |disabled: bool| {
            let email = email.clone();
            let done = shop.app.db.write("test.disable", move |tx| {
                let user = shop::domain::accounts::user_by_email(tx, &email)?;
                shop::domain::accounts::set_disabled(tx, user.id, disabled)
            });
            done.await.unwrap();
        };
        for _ in 0..6 {
            let mut all = tokio::task::JoinSet::new();
            for _ in 0..4 {
                let shop = Arc::clone(&shop);
                all.spawn(async move { log_in(&shop.anonymous(), "ada@example.com", PASSWORD).await });
            }
            // While some logins have finished and others have not.
            let first = all.join_next().await.unwrap().unwrap();
            set(true).await;
            let mut answers = all.join_all().await;
            answers.push(first);
            for signed_in in answers.iter().filter(|answer| answer.status == 200) {
                assert_ended(&shop, signed_in).await;
            }
            assert!(shop.raw_db().dump()["sessions"].is_empty());
            set(false).await;
        }
    }

    async fn a_login_fails_if_the_password_changes_meanwhile(shop: TestShop) {
        shop.customer("ada").await;
        // The password is changed while its verification waits for a blocked hashing thread.
        let shop = Arc::new(shop);
        let held = shop.block_hash_pool().await;
        let busy = shop.app.hash_pool.busy();
        let late = {
            let shop = Arc::clone(&shop);
            tokio::spawn(async move { log_in(&shop.anonymous(), "ada@example.com", PASSWORD).await })
        };
        // Until the login is queued, it has not read the hash.
        while shop.app.hash_pool.busy() == busy {
            tokio::task::yield_now().await;
        }
        let email = shop::domain::accounts::Email::parse("ada@example.com").unwrap();
        let other = shop::domain::accounts::PasswordHash::stored("$argon2id$another".to_owned());
        let set = shop.app.db.write("test.set_password", move |tx| {
            let user = shop::domain::accounts::user_by_email(tx, &email)?;
            shop::domain::accounts::set_password(tx, user.id, &other)
        });
        set.await.unwrap();
        drop(held);
        late.await.unwrap().assert_problem(401, "invalid-credentials");
    }

    async fn expired_sessions_and_spent_tokens_are_deleted(shop: TestShop) {
        shop.customer("ada").await;
        let first = sign_in(&shop, "ada").await;
        refresh(&shop, &first.text("/refreshToken")).await;
        shop.advance_clock(Duration::from_hours(31 * 24));
        shop::worker::clean_up(&shop.app).await;
        let rows = shop.raw_db().dump();
        for table in ["sessions", "spent_refresh_tokens"] {
            assert_eq!(rows[table].len(), 0, "{table}");
        }
    }

    async fn users_can_change_their_name(shop: TestShop) {
        let ada = shop.customer("ada").await;
        let renamed = ada.patch("/me", json!({ "name": "  Ada Lovelace " })).await;
        assert_eq!((renamed.status, renamed.text("/name")), (200, "Ada Lovelace".to_owned()));
        assert_eq!(ada.get("/me").await.json(), renamed.json());
        for wrong in [json!(""), json!("a\nb"), json!("x".repeat(201)), Value::Null] {
            ada.patch("/me", json!({ "name": wrong })).await.assert_invalid_field("name");
        }
        for read_only in ["email", "role", "isEmailVerified", "phone", "password"] {
            ada.patch("/me", json!({ "name": "Ada", read_only: "x" })).await.assert_invalid_field(read_only);
        }
        shop.anonymous().patch("/me", json!({ "name": "X" })).await.assert_problem(401, "unauthorized");
    }
}
