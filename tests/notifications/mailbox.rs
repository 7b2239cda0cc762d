//! `GET /admin/mail`: the mailbox of admins.

use std::time::Duration;

use serde_json::{Value, json};
use shop::{
    core::clock::Timestamp,
    infra::ports::{
        MailMessage, Mailer,
        mailer::{FileMailer, sender},
    },
};

use super::{DOWN, refuse, register};
use crate::support::storage_test;

storage_test! {
    async fn admins_read_every_email_without_tokens(shop: TestShop) {
        let admin = shop.admin().await;
        shop.sent_emails().await;
        refuse(&shop, DOWN, false);
        register(&shop, "ada").await;
        shop.send_due_emails().await;
        let listed = admin.get("/admin/mail").await.json();
        let waiting = listed["data"][0].clone();
        assert_eq!((&waiting["to"], &waiting["state"]), (&json!("ada@example.com"), &json!("waiting")));
        assert_eq!(waiting["lastError"], DOWN);
        assert!(waiting["subject"].as_str().unwrap().contains("confirm"), "{waiting}");
        let path = format!("/admin/mail/{}", waiting["id"].as_str().unwrap());
        let shown = admin.get(&path).await;
        assert!(shown.text("/html").contains("created when the email is sent"), "{shown:?}");

        shop.mailer.refuse(None);
        shop.advance_clock(Duration::from_mins(1));
        let token = shop.emailed_token("ada@example.com").await;
        let shown = admin.get(&path).await;
        assert_eq!(shown.text("/state"), "sent");
        for part in ["/text", "/html"] {
            let content = shown.text(part);
            assert!(content.contains("#token=…"), "{content}");
            assert!(!content.contains(&token), "{content}");
        }
        let unknown = "/admin/mail/01900000-0000-7000-8000-000000000000";
        admin.get(unknown).await.assert_problem(404, "not-found");
    }

    async fn cursors_list_every_email_once(shop: TestShop) {
        let admin = shop.admin().await;
        for name in ["ada", "bob", "eve"] {
            register(&shop, name).await;
        }
        let all = admin.get("/admin/mail").await.json()["data"].as_array().unwrap().clone();
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = admin.get(&format!("/admin/mail?limit=1&cursor={cursor}")).await.json();
            seen.extend(page["data"].as_array().unwrap().clone());
            match page["nextCursor"].as_str() {
                Some(next) => next.clone_into(&mut cursor),
                None => break,
            }
        }
        assert_eq!(seen, all);
        assert!(all.len() >= 3);
        admin.get("/admin/mail?cursor=none").await.assert_problem(400, "invalid-query");
    }

    async fn an_email_without_a_copy_is_rendered_again(shop: TestShop) {
        register(&shop, "ada").await;
        shop.send_due_emails().await;
        // The mailer of the new process has no copy, like one that sends by SMTP.
        let shop = shop.restarted().await;
        let admin = shop.admin().await;
        let mails = admin.get("/admin/mail").await.json();
        let sent = mails["data"].as_array().unwrap().iter().find(|it| it["to"] == "ada@example.com");
        let id = sent.unwrap()["id"].as_str().unwrap().to_owned();
        let shown = admin.get(&format!("/admin/mail/{id}")).await;
        assert_eq!(shown.text("/state"), "sent");
        for part in ["/text", "/html"] {
            let content = shown.text(part);
            assert!(content.contains("created when the email is sent"), "{content}");
        }
    }

    async fn the_content_is_null_if_it_was_not_kept(shop: TestShop) {
        let admin = shop.admin().await;
        register(&shop, "ada").await;
        shop.raw_db().run(
            "UPDATE outbox SET sent_at = created_at, data = NULL, subject = 'Hello'",
        );
        let id = admin.get("/admin/mail").await.text("/data/0/id");
        let shown = admin.get(&format!("/admin/mail/{id}")).await.json();
        assert_eq!((&shown["text"], &shown["html"]), (&Value::Null, &Value::Null));
        assert_eq!(shown["subject"], "Hello");
    }
}

#[tokio::test]
async fn a_file_is_the_copy_of_its_email() {
    let directory = tempfile::tempdir().unwrap();
    let from = sender("Shop <shop@example.com>").unwrap();
    let mailer = FileMailer::new(directory.path().join("mail"), from, false);
    let id = "01900000-0000-7000-8000-000000000000";
    let link = format!("https://shop.example/verify-email#token={}", "a".repeat(64));
    let text = format!("Héllo,\n\nopen this link:\n{link}\n");
    let html = format!(
        "<p>Héllo, <a href=\"{link}\">open</a> – {}</p>",
        "long ".repeat(60)
    );
    let message = MailMessage {
        message_id: format!("{id}@example.com"),
        to: "ada@example.com".to_owned(),
        subject: "Hello".to_owned(),
        text: text.clone(),
        html: html.clone(),
        written_at: Timestamp(1_769_860_800_000),
        link: Some(link),
    };
    assert_eq!(
        mailer.sent_copy(id.parse().unwrap()).await.unwrap(),
        None,
        "not sent yet"
    );
    mailer.send(&message).await.unwrap();
    let copy = mailer
        .sent_copy(id.parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(copy.text.replace("\r\n", "\n").trim(), text.trim());
    assert_eq!(copy.html.replace("\r\n", "\n").trim(), html.trim());
}
