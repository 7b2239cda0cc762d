//! Email delivery: after the commit, at least once, under one Message-ID, and without delaying requests.

mod email_links;
mod mailbox;
mod smtp;
mod templates;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use serde_json::{Value, json};
use shop::{
    core::pagination::PageRequest,
    domain::notifications::{self, worker::SendMail},
    infra::{
        jobs,
        ports::{MailMessage, Refusal},
    },
};

use crate::support::{TestResponse, TestShop, postgres_test, storage_test};

const PASSWORD: &str = "correct horse battery";
const DOWN: &str = "nobody answers";
const GONE: &str = "550 5.1.1 no such user here";

/// Creates an account, which writes an email to the outbox.
async fn register(shop: &TestShop, name: &str) -> TestResponse {
    let email = format!("{name}@example.com");
    let body = json!({ "email": email, "password": PASSWORD, "name": name });
    let created = shop.anonymous().post("/auth/register", body).await;
    assert_eq!(created.status, 201, "{created:?}");
    created
}

fn refuse(shop: &TestShop, why: &str, is_permanent: bool) {
    let why = why.to_owned();
    shop.mailer.refuse(Some(Refusal { is_permanent, why }));
}

/// Returns the outbox as operators see it, newest first.
fn outbox(shop: &TestShop) -> Vec<Value> {
    let listed = shop.run(&["admin", "mail", "list", "--json"]);
    assert!(listed.status.success(), "{listed:?}");
    serde_json::from_slice(&listed.stdout).unwrap()
}

/// Sends due emails. Returns the number of attempts.
async fn attempts(shop: &TestShop) -> usize {
    shop.send_due_emails().await
}

storage_test! {
    async fn failed_emails_are_retried_with_exponential_backoff(shop: TestShop) {
        refuse(&shop, DOWN, false);
        register(&shop, "ada").await;
        assert_eq!(attempts(&shop).await, 1);
        for pause in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600] {
            let pause = Duration::from_secs(pause);
            shop.advance_clock(pause * 79 / 100);
            assert_eq!(attempts(&shop).await, 0, "too early, {pause:?}");
            shop.advance_clock(pause * 42 / 100);
            assert_eq!(attempts(&shop).await, 1, "too late, {pause:?}");
        }
        let seen = outbox(&shop).remove(0);
        assert_eq!((&seen["state"], &seen["tries"], &seen["lastError"]), (&json!("waiting"), &json!(13), &json!(DOWN)));
        shop.mailer.refuse(None);
        shop.advance_clock(Duration::from_mins(12));
        let emails = shop.sent_emails().await;
        assert_eq!((emails.len(), emails[0].to.as_str()), (1, "ada@example.com"));
        assert_eq!(emails[0].message_id, format!("{}@shop.test", seen["id"].as_str().unwrap()));
        assert_eq!(outbox(&shop)[0]["state"], "sent");
    }

    async fn retries_have_jitter(shop: TestShop) {
        refuse(&shop, DOWN, false);
        for number in 0..20 {
            register(&shop, &format!("user{number}")).await;
        }
        assert_eq!(attempts(&shop).await, 20);
        shop.advance_clock(Duration::from_secs(1));
        let some = attempts(&shop).await;
        assert!((1..20).contains(&some), "{some} of 20 together");
        shop.advance_clock(Duration::from_millis(201));
        assert!(attempts(&shop).await >= 20 - some);
    }

    async fn an_email_is_given_up_after_a_day(shop: TestShop) {
        refuse(&shop, DOWN, false);
        register(&shop, "ada").await;
        let mut count = 0;
        while outbox_state(&shop).await == "waiting" {
            count += attempts(&shop).await;
            shop.advance_clock(Duration::from_mins(12));
        }
        assert!((100..=140).contains(&count), "{count}");
        let dead = outbox(&shop).remove(0);
        assert_eq!((&dead["state"], &dead["lastError"], &dead["to"]), (&json!("dead"), &json!(DOWN), &json!("ada@example.com")));
        assert!(dead["subject"].as_str().unwrap().contains("confirm"), "{dead}");

        shop.mailer.refuse(None);
        assert!(shop.sent_emails().await.is_empty());
        let id = dead["id"].as_str().unwrap();
        let shown = shop.run(&["admin", "mail", "show", id]);
        let text = String::from_utf8(shown.stdout).unwrap();
        assert!(text.contains(DOWN) && text.contains("open this link"), "{text}");
    }

    async fn an_operator_can_retry_a_dead_email(shop: TestShop) {
        refuse(&shop, GONE, true);
        register(&shop, "ada").await;
        assert_eq!(attempts(&shop).await, 1);
        shop.advance_clock(Duration::from_hours(48));
        assert_eq!(attempts(&shop).await, 0, "a permanent error is not retried");
        let dead = outbox(&shop).remove(0);
        assert_eq!((&dead["state"], &dead["lastError"]), (&json!("dead"), &json!(GONE)));

        shop.mailer.refuse(None);
        // Not by the command, which uses the system clock instead of the test's.
        let id = dead["id"].as_str().unwrap().parse().unwrap();
        let retried = shop.app.db.write("test.retry", move |tx| notifications::retry(tx, id)).await;
        assert_eq!(retried.unwrap().state, notifications::MailState::Waiting);
        assert_eq!(shop.sent_emails().await.len(), 1);
        let again = shop.app.db.write("test.retry", move |tx| notifications::retry(tx, id)).await;
        assert!(again.unwrap_err().detail().contains("request a new one"));
    }

    async fn an_operator_can_drop_a_dead_email(shop: TestShop) {
        refuse(&shop, GONE, true);
        for name in ["ada", "bob"] {
            register(&shop, name).await;
        }
        let drop = |command: &str, id: &Value| {
            let done = shop.run(&["admin", command, "drop", id.as_str().unwrap(), "--json"]);
            done.status.code()
        };
        let waiting = outbox(&shop);
        assert_eq!(drop("mail", &waiting[0]["id"]), Some(1), "it is still waiting");
        assert_eq!(drop("jobs", &waiting[1]["id"]), Some(1), "it is still waiting");
        assert_eq!(attempts(&shop).await, 2);
        let dead = shop.run(&["admin", "jobs", "list", "--state", "dead", "--json"]);
        let dead: Vec<Value> = serde_json::from_slice(&dead.stdout).unwrap();
        let seen = dead.iter().map(|job| (&job["kind"], &job["lastError"], &job["attempts"]));
        assert!(seen.eq([(&json!("send-mail"), &json!(GONE), &json!(1)); 2]), "{dead:?}");
        let mut subjects: Vec<_> = dead.iter().map(|job| job["subject"].as_str().unwrap()).collect();
        subjects.sort_unstable();
        assert_eq!(subjects, ["ada@example.com", "bob@example.com"]);

        assert_eq!(drop("mail", &dead[0]["id"]), Some(0));
        assert_eq!(drop("jobs", &dead[1]["id"]), Some(0));
        assert_eq!(drop("mail", &dead[0]["id"]), Some(1), "it is gone");
        assert_eq!(outbox(&shop), Vec::<Value>::new());
    }

    async fn emails_and_jobs_are_listed_page_by_page(shop: TestShop) {
        for name in ["ada", "bob", "eve"] {
            register(&shop, name).await;
        }
        for list in ["mail", "jobs"] {
            let page = |number: &str| {
                let listed = shop.run(&["admin", list, "list", "--json", "--limit", "2", "--page", number]);
                let rows: Vec<Value> = serde_json::from_slice(&listed.stdout).unwrap();
                (rows, String::from_utf8(listed.stderr).unwrap())
            };
            let ((first, more), (last, end)) = (page("1"), page("2"));
            assert_eq!((first.len(), last.len()), (2, 1), "{list}");
            assert_eq!(more, "this is page 1 of 2; use `--page 2` for the next one\n");
            assert_eq!(end, "");
            let ids: BTreeSet<_> = first.iter().chain(&last).map(|row| row["id"].to_string()).collect();
            assert_eq!(ids.len(), 3, "{list}");
        }
    }

    async fn requests_do_not_wait_for_the_mail_server(shop: TestShop) {
        refuse(&shop, DOWN, false);
        let kettle = shop.product("Kettle", 129_900, 5).await;
        register(&shop, "ada").await;
        attempts(&shop).await;
        let ada = shop.customer("ada").await;
        assert_eq!(ada.post("/cart", json!({ "productId": kettle })).await.status, 200);
        assert_eq!(ada.post("/orders", json!({})).await.status, 201);
        let forgot = json!({ "email": "ada@example.com" });
        assert_eq!(ada.post("/auth/forgot-password", forgot).await.status, 202);
    }

    async fn waiting_emails_are_retried_at_start(shop: TestShop) {
        refuse(&shop, DOWN, false);
        register(&shop, "ada").await;
        for _ in 0..8 {
            attempts(&shop).await;
            shop.advance_clock(Duration::from_mins(12));
        }
        attempts(&shop).await;
        assert_eq!(attempts(&shop).await, 0, "it waits for its backoff");
        let (database, engine) = (shop.database.clone(), shop.engine);
        let before = shop.app.clock.now();
        let shop = shop.restarted().await;
        shop.advance_clock(Duration::from_millis(u64::try_from(before.0 - shop.app.clock.now().0).unwrap()));
        drop((database, engine));
        notifications::worker::retry_at_start(&shop.app).await.unwrap();
        assert_eq!(shop.sent_emails().await.len(), 1);
    }

    async fn a_sent_email_is_kept_for_thirty_days_without_its_token(shop: TestShop) {
        register(&shop, "ada").await;
        let token = shop.emailed_token("ada@example.com").await;
        let stored = shop.raw_db().dump()["outbox"].concat();
        assert!(!stored.contains(&token) && !stored.contains("#token="), "{stored}");
        assert!(stored.contains("confirm"), "the subject is stored: {stored}");
        let id = outbox(&shop).remove(0)["id"].as_str().unwrap().to_owned();
        let shown = String::from_utf8(shop.run(&["admin", "mail", "show", &id]).stdout).unwrap();
        assert!(shown.contains("state: sent") && shown.contains("created when the email is sent"), "{shown}");
        shop.advance_clock(Duration::from_hours(31 * 24));
        shop::worker::clean_up(&shop.app).await;
        assert_eq!(shop.raw_db().dump()["outbox"].len(), 0);
    }

    async fn old_email_files_are_deleted(shop: TestShop) {
        let shop = shop.with_settings(&[("rate_limit", "off"), ("mail_files_kept", "2d")]).await;
        let directory = shop.directory.path().join("mail");
        shop::worker::clean_up(&shop.app).await;
        std::fs::create_dir(&directory).unwrap();
        let now = u64::try_from(shop.app.clock.now().0).unwrap();
        for (name, hours) in [("old.eml", 49), ("young.eml", 47), ("old.draft", 49), ("notes.txt", 49)] {
            let file = std::fs::File::create(directory.join(name)).unwrap();
            let age = Duration::from_hours(hours);
            file.set_modified(std::time::UNIX_EPOCH + Duration::from_millis(now) - age).unwrap();
        }
        shop::worker::clean_up(&shop.app).await;
        let left = std::fs::read_dir(&directory).unwrap().map(|it| it.unwrap().file_name());
        let left: BTreeSet<_> = left.map(|it| it.into_string().unwrap()).collect();
        assert_eq!(left, ["notes.txt".to_owned(), "young.eml".to_owned()].into());
        assert_eq!(shop::infra::config::Config::from_layers(&[]).unwrap().mail_files_kept, Duration::from_hours(7 * 24));
    }

    async fn replies_of_a_mail_server_are_escaped_on_the_terminal(shop: TestShop) {
        refuse(&shop, "550 \u{1b}[2J\u{9b}31m\u{202e}gone\r\nsent \u{7}", false);
        register(&shop, "ada").await;
        attempts(&shop).await;
        let seen = outbox(&shop).remove(0);
        assert_eq!(seen["lastError"], "550 \u{1b}[2J\u{9b}31m\u{202e}gone\r\nsent \u{7}", "JSON output is not escaped again");
        let id = seen["id"].as_str().unwrap();
        for arguments in [&["admin", "mail", "list"][..], &["admin", "mail", "show", id]] {
            let shown = String::from_utf8(shop.run(arguments).stdout).unwrap();
            let escaped = "550 \\u{1b}[2J\\u{9b}31m\\u{202e}gone\\r\\nsent \\u{7}";
            assert!(shown.contains(escaped), "{shown:?}");
            let strange = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
            assert!(!shown.contains(strange), "{shown:?}");
        }
    }

    async fn a_rolled_back_transaction_sends_no_email(shop: TestShop) {
        register(&shop, "ada").await;
        let body = json!({ "email": "ADA@example.com", "password": PASSWORD, "name": "Eve" });
        let taken = shop.anonymous().post("/auth/register", body).await;
        taken.assert_problem(409, "email-taken");
        let failed = shop.app.db.write("test.mail", |tx| {
            tx.mail("eve@example.com", "password-changed", &json!({ "name": "Eve" }))?;
            Err::<(), _>(shop::core::error::Error::unavailable("rolled back"))
        });
        failed.await.unwrap_err();
        assert_eq!(shop.sent_emails().await.len(), 1);
    }

    async fn a_clock_that_was_set_back_delays_no_email(shop: TestShop) {
        shop.advance_clock(Duration::from_hours(365 * 24));
        refuse(&shop, DOWN, false);
        register(&shop, "ada").await;
        assert_eq!(attempts(&shop).await, 1);
        shop.mailer.refuse(None);
        let shop = shop.restarted().await;
        assert_eq!(shop.sent_emails().await.len(), 1, "a year earlier");
    }

    async fn a_user_name_cannot_inject_markup_headers_or_templates(shop: TestShop) {
        let names = [
            "<script>alert(1)</script>", "{{7919*7919}} {% include \"reset.txt\" %}", "Ada, Bob <bob@example.com>",
            "\"Ada\" <ada@example.org>;", "=?utf-8?q?Bcc:?=",
        ];
        for (number, name) in names.iter().enumerate() {
            let address = format!("user{number}@example.com");
            let body = json!({ "email": address, "password": PASSWORD, "name": name });
            assert_eq!(shop.anonymous().post("/auth/register", body).await.status, 201, "{name}");
        }
        for email in shop.sent_emails().await {
            assert!(email.to.starts_with("user"), "{email:?}");
            assert!(!email.html.contains("<script") && !email.html.contains("62710561"), "{}", email.html);
            assert!(!email.text.contains("62710561") && !email.subject.contains('\n'));
        }
        for name in ["Ada\r\nBcc: eve@example.com", "Ada\u{0}", "A\u{85}da", "Ada\u{2028}\nX: y", "Ада \u{202e}gnp.exe"] {
            let body = json!({ "email": "new@example.com", "password": PASSWORD, "name": name });
            shop.anonymous().post("/auth/register", body).await.assert_invalid_field("name");
        }
    }
}

async fn outbox_state(shop: &TestShop) -> String {
    let first = PageRequest::new(None, None);
    let listed = shop
        .app
        .db
        .read("test.mails", move |tx| notifications::list(tx, first))
        .await
        .unwrap();
    listed.data[0].state.as_str().to_owned()
}

postgres_test! {
    async fn only_one_instance_sends_an_email(shop: TestShop) {
        let other = shop.another_instance().await;
        for number in 0..12 {
            register(&shop, &format!("user{number}")).await;
        }
        let (one, two) = futures_util::future::join(attempts(&shop), attempts(&other)).await;
        assert_eq!(one + two, 12);
        let all: Vec<MailMessage> = [shop.mailer.sent(), other.mailer.sent()].concat();
        let ids: BTreeSet<_> = all.iter().map(|email| email.message_id.clone()).collect();
        assert_eq!((all.len(), ids.len()), (12, 12));
    }

    async fn an_email_interrupted_by_a_stop_is_sent_at_the_next_start(shop: TestShop) {
        register(&shop, "ada").await;
        shop.mailer.hang();
        let app = Arc::clone(&shop.app);
        let handler = Arc::new(SendMail(app));
        let sending = tokio::spawn(async move { jobs::run_due(&handler.0.db, &handler).await });
        while shop.mailer.call_count() == 0 {
            tokio::task::yield_now().await;
        }
        shop.app.stopping.cancel();
        sending.await.unwrap().unwrap();
        let other = shop.another_instance().await;
        notifications::worker::retry_at_start(&other.app).await.unwrap();
        assert_eq!(other.sent_emails().await.len(), 1);
    }

    async fn an_email_claimed_by_a_crashed_instance_is_sent_by_another(shop: TestShop) {
        register(&shop, "ada").await;
        // It claims the email and never records a result.
        let taken = shop.app.db.write("test.take", |tx| jobs::claim(tx, &notifications::worker::QUEUE)).await;
        assert_eq!(taken.unwrap().len(), 1);
        let other = shop.another_instance().await;
        notifications::worker::retry_at_start(&other.app).await.unwrap();
        assert_eq!(attempts(&other).await, 0, "the lease has not ended");
        other.advance_clock(Duration::from_mins(2));
        assert_eq!(other.sent_emails().await.len(), 1);
    }
}
