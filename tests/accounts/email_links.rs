//! Links in emails: address verification and password reset.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use http::Method;
use serde_json::{Value, json};

use super::{PASSWORD, ada, log_in};
use crate::support::{TestResponse, TestShop, storage_test};

const NEW: &str = "a brand new staple";

/// Emails are sent in the order of their timestamps.
const TICK: Duration = Duration::from_millis(1);

async fn register(shop: &TestShop) -> TestResponse {
    let registered = shop.anonymous().post("/auth/register", ada()).await;
    assert_eq!(registered.status, 201, "{registered:?}");
    registered
}

async fn verify(shop: &TestShop, token: &str) -> TestResponse {
    shop.anonymous()
        .post("/auth/verify-email", json!({ "token": token }))
        .await
}

async fn forgot(shop: &TestShop, email: &str) -> TestResponse {
    shop.advance_clock(TICK);
    let id = [("x-request-id", "the-same")];
    let body = json!({ "email": email });
    shop.anonymous()
        .call(Method::POST, "/auth/forgot-password", &id, body)
        .await
}

async fn reset(shop: &TestShop, token: &str, password: &str) -> TestResponse {
    let body = json!({ "token": token, "password": password });
    shop.anonymous().post("/auth/reset-password", body).await
}

storage_test! {
    async fn a_new_account_verifies_its_address_by_the_emailed_link(shop: TestShop) {
        let registered = register(&shop).await;
        assert_eq!(registered.json()["user"]["isEmailVerified"], false);
        let emails = shop.sent_emails().await;
        assert_eq!(emails.len(), 1);
        let email = &emails[0];
        assert_eq!((email.to.as_str(), email.written_at), ("ada@example.com", shop.app.clock.now()));
        let link = email.link.clone().unwrap();
        let token = link.strip_prefix("http://shop.test/verify-email#token=").unwrap();
        assert!(email.text.contains(&link), "{}", email.text);
        assert!(email.html.contains(token), "{}", email.html);
        assert!(email.text.contains("Ada") && email.html.contains("Ada"));

        let verified = verify(&shop, token).await;
        assert_eq!((verified.status, verified.json()["user"]["isEmailVerified"].clone()), (200, json!(true)));
        verify(&shop, token).await.assert_problem(400, "invalid-token");
        let signed_in = log_in(&shop.anonymous(), "ada@example.com", PASSWORD).await;
        assert_eq!(signed_in.json()["user"], verified.json()["user"]);
    }

    async fn the_link_can_be_resent_until_the_address_is_verified(shop: TestShop) {
        register(&shop).await;
        let first = shop.emailed_token("ada@example.com").await;
        let signed_in = log_in(&shop.anonymous(), "ada@example.com", PASSWORD).await;
        let ada = shop.bearer(&signed_in.text("/accessToken"));
        let again = ada.post("/auth/verify-email/resend", Value::Null).await;
        assert_eq!((again.status, again.body.len()), (202, 0));
        let second = shop.emailed_token("ada@example.com").await;
        assert_ne!(first, second);
        assert_eq!(verify(&shop, &first).await.status, 200, "the link of the earlier email still works");
        verify(&shop, &second).await.assert_problem(400, "invalid-token");
        assert_eq!(ada.post("/auth/verify-email/resend", Value::Null).await.status, 202);
        assert_eq!(shop.sent_emails().await.len(), 2, "the address is verified already");
        let nobody = shop.anonymous().post("/auth/verify-email/resend", Value::Null).await;
        nobody.assert_problem(401, "unauthorized");
    }

    async fn a_forgotten_password_is_reset(shop: TestShop) {
        register(&shop).await;
        let old = log_in(&shop.anonymous(), "ada@example.com", PASSWORD).await;
        let answer = forgot(&shop, "ADA@Example.com").await;
        assert_eq!((answer.status, answer.body.len()), (202, 0));
        let emails = shop.sent_emails().await;
        let email = emails.last().unwrap();
        assert_eq!(email.to, "ada@example.com", "the stored address, not the submitted one");
        let link = email.link.clone().unwrap();
        let token = link.strip_prefix("http://shop.test/reset-password#token=").unwrap();

        for weak in ["short", "password1", "hello ADA again"] {
            reset(&shop, token, weak).await.assert_invalid_field("password");
        }
        let done = reset(&shop, token, NEW).await;
        assert_eq!((done.status, done.body.len()), (204, 0));
        let ada = shop.bearer(&old.text("/accessToken"));
        ada.get("/me").await.assert_problem(401, "unauthorized");
        let body = json!({ "refreshToken": old.text("/refreshToken") });
        shop.anonymous().post("/auth/refresh", body).await.assert_problem(401, "invalid-token");

        let anonymous = shop.anonymous();
        log_in(&anonymous, "ada@example.com", PASSWORD).await.assert_problem(401, "invalid-credentials");
        let new = log_in(&anonymous, "ada@example.com", NEW).await;
        assert_eq!((new.status, new.json()["user"]["isEmailVerified"].clone()), (200, json!(true)));
        let last = shop.sent_emails().await.pop().unwrap();
        assert!(last.subject.contains("password"), "{last:?}");
    }

    async fn a_link_works_once_and_for_its_purpose_only(shop: TestShop) {
        register(&shop).await;
        let proof = shop.emailed_token("ada@example.com").await;
        forgot(&shop, "ada@example.com").await;
        forgot(&shop, "ada@example.com").await;
        let emails = shop.sent_emails().await;
        let tokens: Vec<_> = emails.iter().filter_map(|it| it.link.as_deref()).collect();
        let tokens: Vec<_> = tokens.iter().map(|it| it.split_once("#token=").unwrap().1).collect();
        let [_, first, second] = tokens[..] else { panic!("{emails:?}") };

        reset(&shop, &proof, NEW).await.assert_problem(400, "invalid-token");
        verify(&shop, first).await.assert_problem(400, "invalid-token");
        assert_eq!(reset(&shop, first, NEW).await.status, 204);
        for spent in [first, second] {
            reset(&shop, spent, "yet another staple").await.assert_problem(400, "invalid-token");
        }
        for wrong in ["", "0", &"f".repeat(64), &first.to_uppercase(), "../../etc", "\0"] {
            verify(&shop, wrong).await.assert_problem(400, "invalid-token");
            reset(&shop, wrong, NEW).await.assert_problem(400, "invalid-token");
        }
        verify(&shop, &proof).await.assert_problem(400, "invalid-token");
        assert_eq!(log_in(&shop.anonymous(), "ada@example.com", NEW).await.status, 200);
    }

    async fn only_one_of_several_concurrent_uses_of_a_link_succeeds(shop: TestShop) {
        register(&shop).await;
        forgot(&shop, "ada@example.com").await;
        let token = shop.emailed_token("ada@example.com").await;
        let shop = Arc::new(shop);
        let mut all = tokio::task::JoinSet::new();
        for number in 0..4 {
            let (shop, token) = (Arc::clone(&shop), token.clone());
            all.spawn(async move { reset(&shop, &token, &format!("staple number {number}")).await.status });
        }
        let mut statuses = all.join_all().await;
        statuses.sort_unstable();
        assert_eq!(statuses, [204, 400, 400, 400]);
    }

    async fn links_expire(shop: TestShop) {
        register(&shop).await;
        let proof = shop.emailed_token("ada@example.com").await;
        forgot(&shop, "ada@example.com").await;
        let token = shop.emailed_token("ada@example.com").await;
        shop.advance_clock(Duration::from_hours(1));
        reset(&shop, &token, NEW).await.assert_problem(400, "invalid-token");
        forgot(&shop, "ada@example.com").await;
        let token = shop.emailed_token("ada@example.com").await;
        shop.advance_clock(Duration::from_hours(1) - Duration::from_millis(1));
        assert_eq!(reset(&shop, &token, NEW).await.status, 204);

        shop.advance_clock(Duration::from_hours(24));
        verify(&shop, &proof).await.assert_problem(400, "invalid-token");
        shop::worker::clean_up(&shop.app).await;
        assert_eq!(shop.raw_db().dump()["link_tokens"].len(), 0);
    }

    async fn tokens_are_long_and_stored_as_hashes(shop: TestShop) {
        register(&shop).await;
        let proof = shop.emailed_token("ada@example.com").await;
        forgot(&shop, "ada@example.com").await;
        let token = shop.emailed_token("ada@example.com").await;
        for token in [&proof, &token] {
            assert_eq!(hex::decode(token).unwrap().len(), 32);
        }
        let stored: String = shop.raw_db().dump().values().flatten().cloned().collect();
        for token in [&proof, &token] {
            assert!(!stored.contains(token.as_str()), "emails are stored without their links, and tokens are hashed");
        }
    }

    async fn a_forged_host_header_does_not_change_the_link(shop: TestShop) {
        register(&shop).await;
        let forged = [
            ("host", "evil.example"), ("x-forwarded-host", "evil.example"),
            ("forwarded", "host=evil.example"), ("x-forwarded-proto", "gopher"),
            ("origin", "https://evil.example"), ("referer", "https://evil.example/"),
        ];
        let body = json!({ "email": "ada@example.com" });
        let anonymous = shop.anonymous();
        for (path, body) in [
            ("/auth/forgot-password", body),
            ("/auth/register", json!({ "email": "bob@example.com", "password": PASSWORD, "name": "Bob" })),
        ] {
            let answer = anonymous.call(Method::POST, path, &forged, body).await;
            assert!(answer.status < 300, "{answer:?}");
        }
        for email in shop.sent_emails().await {
            assert!(email.link.as_deref().unwrap().starts_with("http://shop.test/"));
            let email_text = format!("{}{}{}", email.subject, email.text, email.html);
            assert!(!email_text.contains("evil") && !email_text.contains("gopher"), "{email_text}");
        }
    }

    async fn the_response_does_not_reveal_whether_an_address_is_registered(shop: TestShop) {
        register(&shop).await;
        shop.sent_emails().await;
        let known = forgot(&shop, "ada@example.com").await;
        let unknown = forgot(&shop, "nobody@example.com").await;
        assert_eq!((known.status, known.headers, known.body), (unknown.status, unknown.headers, unknown.body));
        let to: Vec<_> = shop.sent_emails().await.into_iter().map(|email| email.to).collect();
        assert_eq!(to, ["ada@example.com", "ada@example.com"]);
        for wrong in ["", "ada", "ada@", "a\r\nb@example.com"] {
            forgot(&shop, wrong).await.assert_invalid_field("email");
        }
    }

    async fn an_address_gets_at_most_five_emails_an_hour(shop: TestShop) {
        let shop = shop.with_settings(&[("rate_limit", "on")]).await;
        register(&shop).await;
        for _ in 0..8 {
            assert_eq!(forgot(&shop, "ada@example.com").await.status, 202);
            assert_eq!(forgot(&shop, "nobody@example.com").await.status, 202);
        }
        assert_eq!(shop.sent_emails().await.len(), 1 + 5);
        shop.advance_clock(Duration::from_hours(1) + Duration::from_millis(1));
        forgot(&shop, "ada@example.com").await;
        assert_eq!(shop.sent_emails().await.len(), 1 + 5 + 1, "the limit ends with its window");

        let signed_in = log_in(&shop.anonymous(), "ada@example.com", PASSWORD).await;
        let ada = shop.bearer(&signed_in.text("/accessToken")).at("203.0.113.5");
        let mut statuses = Vec::new();
        for _ in 0..7 {
            statuses.push(ada.post("/auth/verify-email/resend", Value::Null).await.status);
        }
        assert_eq!(statuses, [202, 202, 202, 202, 202, 429, 429]);
    }

    async fn emails_go_only_to_the_stored_address(shop: TestShop) {
        let anonymous = shop.anonymous();
        let body = json!({ "email": "Ren\u{e9}@B\u{fc}cher.example", "password": PASSWORD, "name": "René" });
        assert_eq!(anonymous.post("/auth/register", body).await.status, 201);
        for spelling in ["ren\u{e9}@xn--bcher-kva.example", "REN\u{c9}@B\u{dc}CHER.example", "rene\u{301}@bu\u{308}cher.example"] {
            assert_eq!(forgot(&shop, spelling).await.status, 202);
        }
        let to: BTreeSet<_> = shop.sent_emails().await.into_iter().map(|email| email.to).collect();
        assert_eq!(to, BTreeSet::from(["Ren\u{e9}@B\u{fc}cher.example".to_owned()]));
    }
}
