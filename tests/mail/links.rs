//! Mails with links: each attempt to send one has a token of its own, which no table ever holds.

use std::time::Duration;

use serde_json::{Value, json};

use super::{PASSWORD, refuse, register, tries};
use crate::support::{Answer, TestShop, storage_test};

const ADA: &str = "ada@example.com";
const DOWN: &str = "nobody answers";

async fn forgot(shop: &TestShop) {
    let asked = shop
        .anonymous()
        .post("/auth/forgot-password", json!({ "email": ADA }))
        .await;
    assert_eq!(asked.status, 202, "{asked:?}");
}

async fn reset(shop: &TestShop, token: &str) -> Answer {
    let body = json!({ "token": token, "password": "a brand new staple" });
    shop.anonymous().post("/auth/reset-password", body).await
}

async fn verify(shop: &TestShop, token: &str) -> Answer {
    shop.anonymous()
        .post("/auth/verify-email", json!({ "token": token }))
        .await
}

/// The tokens of all attempts to send a mail so far, in their order.
fn tokens(shop: &TestShop) -> Vec<String> {
    let links = shop
        .mailer
        .offered()
        .into_iter()
        .filter_map(|letter| letter.link);
    links
        .map(|link| link.split_once("#token=").unwrap().1.to_owned())
        .collect()
}

/// How many mails still wait.
fn waiting(shop: &TestShop) -> i64 {
    shop.raw_db()
        .number("SELECT count(*) FROM outbox WHERE state = 'waiting'")
}

/// Fails the test if any table holds one of the tokens.
fn assert_no_table_holds(shop: &TestShop, tokens: &[String]) {
    for (table, rows) in shop.raw_db().dump() {
        for token in tokens {
            assert!(!rows.concat().contains(token), "{table} holds a token");
        }
        assert!(!rows.concat().contains("#token="), "{table} holds a link");
    }
}

storage_test! {
    async fn every_attempt_has_a_token_and_the_use_of_one_ends_all(shop: TestShop) {
        register(&shop, "ada").await;
        assert_no_table_holds(&shop, &[]);
        assert_eq!(tries(&shop).await, 1);
        refuse(&shop, DOWN, false);
        forgot(&shop).await;
        forgot(&shop).await;
        for _ in 0..3 {
            assert_eq!(tries(&shop).await, 2);
            shop.advance_clock(Duration::from_mins(12));
        }
        let sent = tokens(&shop);
        assert_eq!(sent.len(), 1 + 2 * 3);
        let mut different = sent.clone();
        different.sort();
        different.dedup();
        assert_eq!(different.len(), sent.len());
        assert_no_table_holds(&shop, &sent);

        // A mail server that refuses may have delivered all the same.
        assert_eq!(reset(&shop, &sent[1]).await.status, 204);
        for token in &sent[1..] {
            reset(&shop, token).await.is_problem(400, "invalid-token");
        }
        shop.mailer.refuse(None);
        let letters = shop.mails().await;
        let last = letters.last().unwrap();
        assert!(last.link.is_none() && last.subject.contains("password"), "{last:?}");
        assert_eq!(letters.len(), 2, "what the links were for is done: {letters:?}");
    }

    async fn a_token_of_an_earlier_attempt_verifies_an_address(shop: TestShop) {
        refuse(&shop, DOWN, false);
        register(&shop, "ada").await;
        assert_eq!(tries(&shop).await, 1);
        shop.advance_clock(Duration::from_mins(1));
        shop.mailer.refuse(None);
        assert_eq!(shop.mails().await.len(), 1);
        let sent = tokens(&shop);
        assert_eq!(verify(&shop, &sent[0]).await.status, 200);
        verify(&shop, &sent[1]).await.is_problem(400, "invalid-token");
    }

    async fn a_late_mail_brings_a_link_that_still_works(shop: TestShop) {
        register(&shop, "ada").await;
        shop.mails().await;
        refuse(&shop, DOWN, false);
        forgot(&shop).await;
        assert_eq!(tries(&shop).await, 1);
        shop.advance_clock(Duration::from_hours(5));
        shop.mailer.refuse(None);
        let token = shop.token_mailed(ADA).await;
        reset(&shop, &tokens(&shop)[1]).await.is_problem(400, "invalid-token");
        assert_eq!(reset(&shop, &token).await.status, 204);
    }

    async fn a_server_that_repeats_the_link_does_not_bring_it_into_the_outbox(shop: TestShop) {
        refuse(&shop, "554 looks like spam: {link}", true);
        register(&shop, "ada").await;
        assert_eq!(tries(&shop).await, 1);
        let kept = shop.raw_db().text("SELECT error FROM outbox");
        assert!(kept.starts_with("554 looks like spam: http://shop.test/"), "{kept}");
        assert!(!kept.contains(&tokens(&shop)[0]), "{kept}");
    }

    async fn links_end_with_a_disabled_account_a_logout_and_a_new_role(shop: TestShop) {
        let customer = ["ada@example.com", "CUSTOMER"];
        for command in [&["disable", ADA][..], &["logout", ADA], &["role", customer[0], customer[1]]] {
            let shop = shop.with_settings(&[("rate_limit", "off")]).await;
            register(&shop, "ada").await;
            forgot(&shop).await;
            shop.mails().await;
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
            assert_eq!(waiting(&shop), 0, "{command:?}: a mail would bring another link");
            reset(&shop, &token).await.is_problem(400, "invalid-token");
            verify(&shop, &proof).await.is_problem(400, "invalid-token");
            run(&["enable", ADA]);
            reset(&shop, &token).await.is_problem(400, "invalid-token");
        }
    }

    async fn a_link_of_a_disabled_account_does_not_work(shop: TestShop) {
        register(&shop, "ada").await;
        forgot(&shop).await;
        shop.mails().await;
        let [proof, token] = tokens(&shop).try_into().unwrap();
        // However it was disabled.
        shop.raw_db().run("UPDATE users SET disabled_at = 1");
        reset(&shop, &token).await.is_problem(400, "invalid-token");
        verify(&shop, &proof).await.is_problem(400, "invalid-token");
        let refused = shop.run(&["admin", "user", "reset-password", ADA]);
        assert_eq!(refused.status.code(), Some(1));
        let why = String::from_utf8(refused.stderr).unwrap();
        assert!(why.contains("disabled") && why.contains("user enable"), "{why}");
    }

    async fn a_new_password_withdraws_the_reset_mails_that_wait(shop: TestShop) {
        register(&shop, "ada").await;
        shop.mails().await;
        refuse(&shop, DOWN, false);
        forgot(&shop).await;
        let body = json!({ "email": ADA, "password": PASSWORD });
        let signed_in = shop.anonymous().post("/auth/login", body).await;
        let ada = shop.bearer(&signed_in.text("/accessToken"));
        let body = json!({ "currentPassword": PASSWORD, "newPassword": "a brand new staple" });
        let changed = ada.call(http::Method::PUT, "/me/password", &[], body).await;
        assert_eq!(changed.status, 204, "{changed:?}");
        shop.mailer.refuse(None);
        let subjects: Vec<_> = shop.mails().await.into_iter().map(|it| it.subject).collect();
        assert_eq!(subjects.len(), 2, "{subjects:?}");
        assert!(shop.mailer.letters()[1].link.is_none(), "{subjects:?}");
    }

    async fn operators_read_no_link(shop: TestShop) {
        refuse(&shop, DOWN, false);
        register(&shop, "ada").await;
        let id = shop.app.db.read("test.mails", shop::domain::notifications::list).await.unwrap()[0].id;
        let shown = shop.run(&["admin", "mail", "show", &id.to_string(), "--json"]);
        let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
        let text = shown["text"].as_str().unwrap();
        assert!(text.contains("made when the mail is sent"), "{text}");
        assert!(shown["subject"].as_str().unwrap().contains("confirm"), "{shown}");
    }

    async fn a_mail_that_an_earlier_release_left_still_goes_out(shop: TestShop) {
        register(&shop, "ada").await;
        // On Postgres, the earlier release may still write mails after the migration.
        let data = r#"{"name":"Ada","link":"http://shop.test/verify-email#token=0"}"#;
        shop.raw_db().run(&format!(
            "UPDATE outbox SET link_purpose = NULL, link_user_id = NULL, data = '{data}'"
        ));
        let letters = shop.mails().await;
        assert_eq!(letters.len(), 1);
        assert!(letters[0].text.contains("verify-email#token=0"), "{letters:?}");
    }
}
