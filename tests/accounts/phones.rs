//! Phone numbers and the codes that verify them.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};

use crate::support::{Client, TestResponse, TestShop, storage_test};

const NUMBER: &str = "+919812345678";

async fn set_phone(client: &Client<'_>) -> TestResponse {
    client.post("/me/phone", json!({ "phone": NUMBER })).await
}

async fn guess(client: &Client<'_>, code: &str) -> TestResponse {
    client
        .post("/me/phone/verify", json!({ "code": code }))
        .await
}

/// Returns the code of the latest message.
fn code_sent(shop: &TestShop) -> String {
    let mut newest = None;
    while let Some((to, text)) = shop.sms.read() {
        assert_eq!(to, NUMBER);
        newest = Some(text.strip_prefix("your code is ").unwrap().to_owned());
    }
    newest.unwrap()
}

/// Returns a different code.
fn wrong(code: &str) -> String {
    let other = if code.starts_with('1') { '2' } else { '1' };
    format!("{other}{}", &code[1..])
}

storage_test! {
    async fn a_phone_number_is_unverified_until_its_code_is_submitted(shop: TestShop) {
        let ada = shop.customer("ada").await;
        let answer = set_phone(&ada).await;
        assert_eq!(answer.status, 202);
        assert_eq!(answer.json(), json!({ "expiresAt": "2026-01-31T12:10:00.000Z" }));
        let me = ada.get("/me").await.json();
        assert_eq!((me["phone"].clone(), me["isPhoneVerified"].clone()), (json!(NUMBER), json!(false)));
        let code = code_sent(&shop);
        assert!(code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()), "{code}");

        let verified = guess(&ada, &code).await;
        assert_eq!((verified.status, verified.json()["isPhoneVerified"].clone()), (200, json!(true)));
        assert_eq!(ada.get("/me").await.json(), verified.json());
        set_phone(&ada).await;
        assert_eq!(ada.get("/me").await.json()["isPhoneVerified"], false);
    }

    async fn a_code_works_once(shop: TestShop) {
        let ada = shop.customer("ada").await;
        set_phone(&ada).await;
        let code = code_sent(&shop);
        assert_eq!(guess(&ada, &code).await.status, 200);
        guess(&ada, &code).await.assert_problem(400, "invalid-code");
    }

    async fn a_code_allows_five_attempts(shop: TestShop) {
        let ada = shop.customer("ada").await;
        set_phone(&ada).await;
        let code = code_sent(&shop);
        for _ in 0..5 {
            guess(&ada, &wrong(&code)).await.assert_problem(400, "invalid-code");
        }
        guess(&ada, &code).await.assert_problem(400, "invalid-code");
        set_phone(&ada).await;
        let code = code_sent(&shop);
        for _ in 0..4 {
            guess(&ada, &wrong(&code)).await.assert_problem(400, "invalid-code");
        }
        assert_eq!(guess(&ada, &code).await.status, 200);
    }

    async fn concurrent_guesses_count_as_attempts(shop: TestShop) {
        let ada = shop.customer("ada").await;
        set_phone(&ada).await;
        let (code, token) = (code_sent(&shop), ada.token.clone().unwrap());
        let shop = Arc::new(shop);
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..100 {
            let (shop, token, code) = (Arc::clone(&shop), token.clone(), wrong(&code));
            all.spawn(async move { guess(&shop.bearer(&token), &code).await.status });
        }
        assert_eq!(all.join_all().await, [400; 100]);
        let stored = &shop.raw_db().dump()["phone_codes"];
        assert_eq!(stored.len(), 1);
        guess(&shop.bearer(&token), &code).await.assert_problem(400, "invalid-code");
    }

    async fn a_code_expires_after_ten_minutes(shop: TestShop) {
        let ada = shop.customer("ada").await;
        set_phone(&ada).await;
        let code = code_sent(&shop);
        shop.advance_clock(Duration::from_mins(10));
        guess(&ada, &code).await.assert_problem(400, "invalid-code");
        set_phone(&ada).await;
        let code = code_sent(&shop);
        shop.advance_clock(Duration::from_mins(4));
        assert_eq!(guess(&ada, &code).await.status, 200);
    }

    async fn a_new_code_invalidates_the_previous_one(shop: TestShop) {
        let ada = shop.customer("ada").await;
        set_phone(&ada).await;
        let first = code_sent(&shop);
        set_phone(&ada).await;
        let second = code_sent(&shop);
        assert_ne!(first, second);
        guess(&ada, &first).await.assert_problem(400, "invalid-code");
        assert_eq!(guess(&ada, &second).await.status, 200);
    }

    async fn codes_are_stored_as_hashes(shop: TestShop) {
        let ada = shop.customer("ada").await;
        set_phone(&ada).await;
        let code = code_sent(&shop);
        let stored = shop.raw_db().dump()["phone_codes"].concat();
        assert!(!stored.contains(&code) && !stored.contains(&hex::encode(&code)), "{stored}");
    }

    async fn a_code_belongs_to_its_account(shop: TestShop) {
        let (ada, bob) = (shop.customer("ada").await, shop.customer("bob").await);
        set_phone(&ada).await;
        let code = code_sent(&shop);
        guess(&bob, &code).await.assert_problem(400, "invalid-code");
        assert_eq!(guess(&ada, &code).await.status, 200);
    }

    async fn an_account_gets_five_codes_an_hour(shop: TestShop) {
        let shop = shop.with_settings(&[("rate_limit", "on")]).await;
        let ada = shop.customer("ada").await;
        let mut statuses = Vec::new();
        for _ in 0..7 {
            statuses.push(set_phone(&ada).await.status);
        }
        assert_eq!(statuses, [202, 202, 202, 202, 202, 429, 429]);
        shop.advance_clock(Duration::from_hours(1) + Duration::from_millis(1));
        let ada = shop.customer("ada").await;
        assert_eq!(set_phone(&ada).await.status, 202);
    }

    async fn invalid_numbers_and_codes_are_rejected(shop: TestShop) {
        let ada = shop.customer("ada").await;
        for wrong in [
            json!(""), json!("+"), json!("919812345678"), json!("+0919812345678"), json!("+12345"),
            json!("+91 98123 45678"), json!("+9198123456789012"), json!("+91981234567\u{661}"),
            json!("+919812345678\r\n"), json!(919_812_345_678_u64), Value::Null,
        ] {
            let refused = ada.post("/me/phone", json!({ "phone": wrong })).await;
            assert_eq!(refused.status, 422, "{wrong}: {refused:?}");
            refused.assert_invalid_field("phone");
        }
        assert_eq!(ada.get("/me").await.json()["phone"], Value::Null);
        assert!(shop.sms.read().is_none());
        for wrong in ["", "12345", "1234567", "abcdef", "\0"] {
            guess(&ada, wrong).await.assert_problem(400, "invalid-code");
        }
        guess(&shop.anonymous(), "123456").await.assert_problem(401, "unauthorized");
    }
}
