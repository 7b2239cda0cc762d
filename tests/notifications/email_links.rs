//! Emails with links: each attempt has its own token, which is never stored in clear text.

use std::time::Duration;

use serde_json::{Value, json};

use super::{PASSWORD, attempts, outbox, refuse, register};
use crate::support::{TestResponse, TestShop, storage_test};

const ADA: &str = "ada@example.com";
const DOWN: &str = "nobody answers";

async fn forgot(shop: &TestShop) {
    let answer = shop
        .anonymous()
        .post("/auth/forgot-password", json!({ "email": ADA }))
        .await;
    assert_eq!(answer.status, 202, "{answer:?}");
}

async fn reset(shop: &TestShop, token: &str) -> TestResponse {
    let body = json!({ "token": token, "password": "a brand new staple" });
    shop.anonymous().post("/auth/reset-password", body).await
}

async fn verify(shop: &TestShop, token: &str) -> TestResponse {
    shop.anonymous()
        .post("/auth/verify-email", json!({ "token": token }))
        .await
}

/// Returns the tokens of all attempts so far, in order.
fn tokens(shop: &TestShop) -> Vec<String> {
    let links = shop
        .mailer
        .attempted()
        .into_iter()
        .filter_map(|email| email.link);
    links
        .map(|link| link.split_once("#token=").unwrap().1.to_owned())
        .collect()
}

/// Returns the number of waiting emails.
fn waiting(shop: &TestShop) -> i64 {
    shop.raw_db()
        .number("SELECT count(*) FROM jobs WHERE kind = 'send-mail' AND state = 'waiting'")
}

/// Asserts that no table contains one of the tokens.
fn assert_no_table_holds(shop: &TestShop, tokens: &[String]) {
    for (table, rows) in shop.raw_db().dump() {
        for token in tokens {
            assert!(!rows.concat().contains(token), "{table} holds a token");
        }
        assert!(!rows.concat().contains("#token="), "{table} holds a link");
    }
}

storage_test! {
    async fn every_attempt_has_a_token_and_using_one_revokes_all(shop: TestShop) {
        register(&shop, "ada").await;
        assert_no_table_holds(&shop, &[]);
        assert_eq!(attempts(&shop).await, 1);
        refuse(&shop, DOWN, false);
        forgot(&shop).await;
        forgot(&shop).await;
        for _ in 0..3 {
            assert_eq!(attempts(&shop).await, 2);
            shop.advance_clock(Duration::from_mins(12));
        }
        let sent = tokens(&shop);
        assert_eq!(sent.len(), 1 + 2 * 3);
        let mut different = sent.clone();
        different.sort();
        different.dedup();
        assert_eq!(different.len(), sent.len());
        assert_no_table_holds(&shop, &sent);

        // A mail server may deliver an email although it replied with an error.
        assert_eq!(reset(&shop, &sent[1]).await.status, 204);
        for token in &sent[1..] {
            reset(&shop, token).await.assert_problem(400, "invalid-token");
        }
        shop.mailer.refuse(None);
        let emails = shop.sent_emails().await;
        let last = emails.last().unwrap();
        assert!(last.link.is_none() && last.subject.contains("password"), "{last:?}");
        assert_eq!(emails.len(), 2, "waiting reset emails are withdrawn: {emails:?}");
    }

    async fn a_token_of_an_earlier_attempt_verifies_an_address(shop: TestShop) {
        refuse(&shop, DOWN, false);
        register(&shop, "ada").await;
        assert_eq!(attempts(&shop).await, 1);
        shop.advance_clock(Duration::from_mins(1));
        shop.mailer.refuse(None);
        assert_eq!(shop.sent_emails().await.len(), 1);
        let sent = tokens(&shop);
        assert_eq!(verify(&shop, &sent[0]).await.status, 200);
        verify(&shop, &sent[1]).await.assert_problem(400, "invalid-token");
    }

    async fn the_link_of_a_delayed_email_works(shop: TestShop) {
        register(&shop, "ada").await;
        shop.sent_emails().await;
        refuse(&shop, DOWN, false);
        forgot(&shop).await;
        assert_eq!(attempts(&shop).await, 1);
        shop.advance_clock(Duration::from_hours(5));
        shop.mailer.refuse(None);
        let token = shop.emailed_token(ADA).await;
        reset(&shop, &tokens(&shop)[1]).await.assert_problem(400, "invalid-token");
        assert_eq!(reset(&shop, &token).await.status, 204);
    }

    async fn a_token_quoted_by_the_mail_server_is_redacted(shop: TestShop) {
        refuse(&shop, "554 looks like spam: {link}", true);
        register(&shop, "ada").await;
        assert_eq!(attempts(&shop).await, 1);
        let stored = shop.raw_db().text("SELECT last_error FROM jobs");
        assert!(stored.starts_with("554 looks like spam: http://shop.test/"), "{stored}");
        assert!(!stored.contains(&tokens(&shop)[0]), "{stored}");
    }

    async fn disabling_logout_and_a_role_change_revoke_links(shop: TestShop) {
        let customer = ["ada@example.com", "CUSTOMER"];
        for command in [&["disable", ADA][..], &["logout", ADA], &["role", customer[0], customer[1]]] {
            let shop = shop.with_settings(&[("rate_limit", "off")]).await;
            register(&shop, "ada").await;
            forgot(&shop).await;
            shop.sent_emails().await;
            let [proof, token] = tokens(&shop).try_into().unwrap();
            refuse(&shop, DOWN, false);
            shop.advance_clock(Duration::from_millis(1));
            forgot(&shop).await;
            assert_eq!(waiting(&shop), 1);

            let run = |words: &[&str]| {
                let ran = shop.run(&[&["admin", "user"], words].concat());
                assert!(ran.status.success(), "{ran:?}");
            };
            run(command);
            assert_eq!(waiting(&shop), 0, "{command:?}: a waiting email would create another link");
            reset(&shop, &token).await.assert_problem(400, "invalid-token");
            verify(&shop, &proof).await.assert_problem(400, "invalid-token");
            run(&["enable", ADA]);
            reset(&shop, &token).await.assert_problem(400, "invalid-token");
        }
    }

    async fn links_of_a_disabled_account_do_not_work(shop: TestShop) {
        register(&shop, "ada").await;
        forgot(&shop).await;
        shop.sent_emails().await;
        let [proof, token] = tokens(&shop).try_into().unwrap();
        // Even if it was disabled directly in the database.
        shop.raw_db().run("UPDATE users SET disabled_at = 1");
        reset(&shop, &token).await.assert_problem(400, "invalid-token");
        verify(&shop, &proof).await.assert_problem(400, "invalid-token");
        let refused = shop.run(&["admin", "user", "reset-password", ADA]);
        assert_eq!(refused.status.code(), Some(1));
        let why = String::from_utf8(refused.stderr).unwrap();
        assert!(why.contains("disabled") && why.contains("user enable"), "{why}");
    }

    async fn a_password_change_withdraws_waiting_reset_emails(shop: TestShop) {
        register(&shop, "ada").await;
        shop.sent_emails().await;
        refuse(&shop, DOWN, false);
        forgot(&shop).await;
        let body = json!({ "email": ADA, "password": PASSWORD });
        let signed_in = shop.anonymous().post("/auth/login", body).await;
        let ada = shop.bearer(&signed_in.text("/accessToken"));
        let body = json!({ "currentPassword": PASSWORD, "newPassword": "a brand new staple" });
        let changed = ada.call(http::Method::PUT, "/me/password", &[], body).await;
        assert_eq!(changed.status, 204, "{changed:?}");
        shop.mailer.refuse(None);
        let subjects: Vec<_> = shop.sent_emails().await.into_iter().map(|it| it.subject).collect();
        assert_eq!(subjects.len(), 2, "{subjects:?}");
        assert!(shop.mailer.sent()[1].link.is_none(), "{subjects:?}");
    }

    async fn operators_do_not_see_links(shop: TestShop) {
        refuse(&shop, DOWN, false);
        register(&shop, "ada").await;
        let id = outbox(&shop)[0]["id"].as_str().unwrap().to_owned();
        let shown = shop.run(&["admin", "mail", "show", &id, "--json"]);
        let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
        let text = shown["text"].as_str().unwrap();
        assert!(text.contains("created when the email is sent"), "{text}");
        assert!(shown["subject"].as_str().unwrap().contains("confirm"), "{shown}");
    }

    async fn emails_of_an_earlier_release_are_still_sent(shop: TestShop) {
        register(&shop, "ada").await;
        // On Postgres, the earlier release may still write emails after the migration.
        let data = r#"{"name":"Ada","link":"http://shop.test/verify-email#token=0"}"#;
        shop.raw_db().run(&format!(
            "UPDATE outbox SET link_purpose = NULL, link_user_id = NULL, data = '{data}'"
        ));
        let emails = shop.sent_emails().await;
        assert_eq!(emails.len(), 1);
        assert!(emails[0].text.contains("verify-email#token=0"), "{emails:?}");
    }
}
