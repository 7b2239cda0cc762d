//! Mail: it goes out after its transaction, at least once, under one Message-ID, and whatever a mail
//! server does, nobody in the shop waits for it.

mod links;
mod smtp;
mod templates;

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};
use shop::{
    domain::notifications,
    infra::ports::{MailMessage, Refusal},
};

use crate::support::{Answer, TestShop, postgres_test, storage_test};

const PASSWORD: &str = "correct horse battery";
const DOWN: &str = "nobody answers";
const GONE: &str = "550 5.1.1 no such user here";

/// Makes an account, which leaves a mail in the outbox.
async fn register(shop: &TestShop, name: &str) -> Answer {
    let email = format!("{name}@example.com");
    let body = json!({ "email": email, "password": PASSWORD, "name": name });
    let made = shop.anonymous().post("/auth/register", body).await;
    assert_eq!(made.status, 201, "{made:?}");
    made
}

fn refuse(shop: &TestShop, why: &str, is_final: bool) {
    let why = why.to_owned();
    shop.mailer.refuse(Some(Refusal { is_final, why }));
}

/// What an operator sees of the outbox, the newest first.
fn outbox(shop: &TestShop) -> Vec<Value> {
    let listed = shop.run(&["admin", "mail", "list", "--json"]);
    assert!(listed.status.success(), "{listed:?}");
    serde_json::from_slice(&listed.stdout).unwrap()
}

async fn tries(shop: &TestShop) -> usize {
    shop.send_mails().await
}

storage_test! {
    async fn a_mail_is_tried_again_after_pauses_that_double(shop: TestShop) {
        refuse(&shop, DOWN, false);
        register(&shop, "ada").await;
        assert_eq!(tries(&shop).await, 1);
        for pause in [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600] {
            let pause = Duration::from_secs(pause);
            shop.advance_clock(pause * 79 / 100);
            assert_eq!(tries(&shop).await, 0, "too early, {pause:?}");
            shop.advance_clock(pause * 42 / 100);
            assert_eq!(tries(&shop).await, 1, "too late, {pause:?}");
        }
        let seen = outbox(&shop).remove(0);
        assert_eq!((&seen["state"], &seen["tries"], &seen["lastError"]), (&json!("waiting"), &json!(13), &json!(DOWN)));
        shop.mailer.refuse(None);
        shop.advance_clock(Duration::from_mins(12));
        let letters = shop.mails().await;
        assert_eq!((letters.len(), letters[0].to.as_str()), (1, "ada@example.com"));
        assert_eq!(letters[0].message_id, format!("{}@shop.test", seen["id"].as_str().unwrap()));
        assert_eq!(outbox(&shop)[0]["state"], "sent");
    }

    async fn pauses_differ_so_that_mails_do_not_come_together_again(shop: TestShop) {
        refuse(&shop, DOWN, false);
        for number in 0..20 {
            register(&shop, &format!("user{number}")).await;
        }
        assert_eq!(tries(&shop).await, 20);
        shop.advance_clock(Duration::from_secs(1));
        let some = tries(&shop).await;
        assert!((1..20).contains(&some), "{some} of 20 at once");
        shop.advance_clock(Duration::from_millis(201));
        assert!(tries(&shop).await >= 20 - some);
    }

    async fn a_mail_is_given_up_after_a_day_and_an_operator_sees_it(shop: TestShop) {
        refuse(&shop, DOWN, false);
        register(&shop, "ada").await;
        let mut tried = 0;
        while outbox_state(&shop).await == "waiting" {
            tried += tries(&shop).await;
            shop.advance_clock(Duration::from_mins(12));
        }
        assert!((100..=140).contains(&tried), "{tried}");
        let dead = outbox(&shop).remove(0);
        assert_eq!((&dead["state"], &dead["lastError"], &dead["to"]), (&json!("dead"), &json!(DOWN), &json!("ada@example.com")));
        assert!(dead["subject"].as_str().unwrap().contains("confirm"), "{dead}");

        shop.mailer.refuse(None);
        assert!(shop.mails().await.is_empty());
        let id = dead["id"].as_str().unwrap();
        let shown = shop.run(&["admin", "mail", "show", id]);
        let text = String::from_utf8(shown.stdout).unwrap();
        assert!(text.contains(DOWN) && text.contains("open this link"), "{text}");
    }

    async fn a_dead_letter_is_tried_again_when_an_operator_says_so(shop: TestShop) {
        refuse(&shop, GONE, true);
        register(&shop, "ada").await;
        assert_eq!(tries(&shop).await, 1);
        shop.advance_clock(Duration::from_hours(48));
        assert_eq!(tries(&shop).await, 0, "no use in trying again");
        let dead = outbox(&shop).remove(0);
        assert_eq!((&dead["state"], &dead["lastError"]), (&json!("dead"), &json!(GONE)));

        shop.mailer.refuse(None);
        // The command's clock is the machine's; the shop's stands still.
        let id = dead["id"].as_str().unwrap().parse().unwrap();
        let retried = shop.app.db.write("test.retry", move |tx| notifications::retry(tx, id)).await;
        assert_eq!(retried.unwrap().state, notifications::State::Waiting);
        assert_eq!(shop.mails().await.len(), 1);
        let again = shop.app.db.write("test.retry", move |tx| notifications::retry(tx, id)).await;
        assert!(again.unwrap_err().detail().contains("erased"));
    }

    async fn a_dead_letter_can_be_dropped(shop: TestShop) {
        refuse(&shop, GONE, true);
        for name in ["ada", "bob"] {
            register(&shop, name).await;
        }
        let drop = |command: &str, id: &Value| {
            let done = shop.run(&["admin", command, "drop", id.as_str().unwrap(), "--json"]);
            done.status.code()
        };
        let waiting = outbox(&shop);
        assert_eq!(drop("mail", &waiting[0]["id"]), Some(1), "it is still attempted");
        assert_eq!(drop("jobs", &waiting[1]["id"]), Some(1), "it is still attempted");
        assert_eq!(tries(&shop).await, 2);
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

    async fn nobody_waits_for_a_mail_server(shop: TestShop) {
        refuse(&shop, DOWN, false);
        let kettle = shop.product("Kettle", 129_900, 5).await;
        register(&shop, "ada").await;
        tries(&shop).await;
        let ada = shop.customer("ada").await;
        assert_eq!(ada.post("/cart", json!({ "productId": kettle })).await.status, 200);
        assert_eq!(ada.post("/orders", json!({})).await.status, 201);
        let forgot = json!({ "email": "ada@example.com" });
        assert_eq!(ada.post("/auth/forgot-password", forgot).await.status, 202);
    }

    async fn what_an_earlier_program_left_is_tried_at_the_start(shop: TestShop) {
        refuse(&shop, DOWN, false);
        register(&shop, "ada").await;
        for _ in 0..8 {
            tries(&shop).await;
            shop.advance_clock(Duration::from_mins(12));
        }
        tries(&shop).await;
        assert_eq!(tries(&shop).await, 0, "it rests");
        let (database, engine) = (shop.database.clone(), shop.engine);
        let before = shop.app.clock.now();
        let shop = shop.restarted().await;
        shop.advance_clock(Duration::from_millis(u64::try_from(before.0 - shop.app.clock.now().0).unwrap()));
        drop((database, engine));
        notifications::worker::begin(&shop.app).await.unwrap();
        assert_eq!(shop.mails().await.len(), 1);
    }

    async fn what_a_mail_said_is_erased_once_it_is_sent(shop: TestShop) {
        register(&shop, "ada").await;
        let token = shop.token_mailed("ada@example.com").await;
        let kept = shop.raw_db().dump()["outbox"].concat();
        assert!(!kept.contains(&token) && !kept.contains("#token="), "{kept}");
        assert!(kept.contains("confirm"), "its subject stays: {kept}");
        shop.advance_clock(Duration::from_hours(31 * 24));
        shop::worker::clean_up(&shop.app).await;
        assert_eq!(shop.raw_db().dump()["outbox"].len(), 0);
    }

    async fn old_files_of_mails_are_deleted(shop: TestShop) {
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

    async fn a_server_cannot_write_to_the_terminal(shop: TestShop) {
        refuse(&shop, "550 \u{1b}[2J\u{9b}31m\u{202e}gone\r\nsent \u{7}", false);
        register(&shop, "ada").await;
        tries(&shop).await;
        let seen = outbox(&shop).remove(0);
        assert_eq!(seen["lastError"], "550 \u{1b}[2J\u{9b}31m\u{202e}gone\r\nsent \u{7}", "JSON is as it was");
        let id = seen["id"].as_str().unwrap();
        for arguments in [&["admin", "mail", "list"][..], &["admin", "mail", "show", id]] {
            let shown = String::from_utf8(shop.run(arguments).stdout).unwrap();
            let escaped = "550 \\u{1b}[2J\\u{9b}31m\\u{202e}gone\\r\\nsent \\u{7}";
            assert!(shown.contains(escaped), "{shown:?}");
            let strange = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
            assert!(!shown.contains(strange), "{shown:?}");
        }
    }

    async fn a_mail_of_what_was_undone_does_not_go_out(shop: TestShop) {
        register(&shop, "ada").await;
        let body = json!({ "email": "ADA@example.com", "password": PASSWORD, "name": "Eve" });
        let taken = shop.anonymous().post("/auth/register", body).await;
        taken.is_problem(409, "email-taken");
        let failed = shop.app.db.write("test.mail", |tx| {
            tx.mail("eve@example.com", "password-changed", &json!({ "name": "Eve" }))?;
            Err::<(), _>(shop::core::error::Error::unavailable("it came to nothing"))
        });
        failed.await.unwrap_err();
        assert_eq!(shop.mails().await.len(), 1);
    }

    async fn a_clock_that_was_set_back_holds_no_mail_up(shop: TestShop) {
        shop.advance_clock(Duration::from_hours(365 * 24));
        refuse(&shop, DOWN, false);
        register(&shop, "ada").await;
        assert_eq!(tries(&shop).await, 1);
        shop.mailer.refuse(None);
        let shop = shop.restarted().await;
        assert_eq!(shop.mails().await.len(), 1, "a year earlier");
    }

    async fn a_name_is_text_and_nothing_else(shop: TestShop) {
        let names = [
            "<script>alert(1)</script>", "{{7919*7919}} {% include \"reset.txt\" %}", "Ada, Bob <bob@example.com>",
            "\"Ada\" <ada@example.org>;", "=?utf-8?q?Bcc:?=",
        ];
        for (number, name) in names.iter().enumerate() {
            let email = format!("user{number}@example.com");
            let body = json!({ "email": email, "password": PASSWORD, "name": name });
            assert_eq!(shop.anonymous().post("/auth/register", body).await.status, 201, "{name}");
        }
        for letter in shop.mails().await {
            assert!(letter.to.starts_with("user"), "{letter:?}");
            assert!(!letter.html.contains("<script") && !letter.html.contains("62710561"), "{}", letter.html);
            assert!(!letter.text.contains("62710561") && !letter.subject.contains('\n'));
        }
        for name in ["Ada\r\nBcc: eve@example.com", "Ada\u{0}", "A\u{85}da", "Ada\u{2028}\nX: y", "Ада \u{202e}gnp.exe"] {
            let body = json!({ "email": "new@example.com", "password": PASSWORD, "name": name });
            shop.anonymous().post("/auth/register", body).await.blames("name");
        }
    }
}

async fn outbox_state(shop: &TestShop) -> String {
    let listed = shop
        .app
        .db
        .read("test.mails", notifications::list)
        .await
        .unwrap();
    listed[0].state.as_str().to_owned()
}

postgres_test! {
    async fn of_several_instances_one_sends_a_mail(shop: TestShop) {
        let other = shop.another().await;
        for number in 0..12 {
            register(&shop, &format!("user{number}")).await;
        }
        let (one, two) = futures_util::future::join(tries(&shop), tries(&other)).await;
        assert_eq!(one + two, 12);
        let all: Vec<MailMessage> = [shop.mailer.letters(), other.mailer.letters()].concat();
        let ids: BTreeSet<_> = all.iter().map(|letter| letter.message_id.clone()).collect();
        assert_eq!((all.len(), ids.len()), (12, 12));
    }

    async fn a_mail_of_an_instance_that_stopped_is_sent_at_the_next_start(shop: TestShop) {
        register(&shop, "ada").await;
        shop.mailer.hang();
        let app = std::sync::Arc::clone(&shop.app);
        let sending = tokio::spawn(async move { notifications::worker::send_due(&app).await });
        while shop.mailer.asked() == 0 {
            tokio::task::yield_now().await;
        }
        shop.app.stopping.cancel();
        sending.await.unwrap().unwrap();
        let other = shop.another().await;
        notifications::worker::begin(&other.app).await.unwrap();
        assert_eq!(other.mails().await.len(), 1);
    }

    async fn a_mail_of_an_instance_that_died_is_sent_by_another(shop: TestShop) {
        register(&shop, "ada").await;
        // It has begun a try and never told how it went.
        let app = std::sync::Arc::clone(&shop.app);
        let taken = shop.app.db.write("test.take", move |tx| notifications::take_due(tx, &app, 4)).await;
        assert_eq!(taken.unwrap().len(), 1);
        let other = shop.another().await;
        notifications::worker::begin(&other.app).await.unwrap();
        assert_eq!(tries(&other).await, 0, "it may be under way");
        other.advance_clock(Duration::from_mins(2));
        assert_eq!(other.mails().await.len(), 1);
    }
}
