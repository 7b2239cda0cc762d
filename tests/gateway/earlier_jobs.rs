//! The jobs that an earlier version queued in tables of each domain are carried over to the one queue, and run.

use std::{collections::BTreeSet, fs};

use serde_json::{Value, json};

use super::shop::{provider_order_id, run_queue, with_razorpay};
use crate::support::{EarlierShop, RawDb, TestShop, storage_test};

/// The last version with queues of each domain.
const VERSION: i32 = 20;

/// The ids of the rows, by number.
fn id(number: u8) -> String {
    format!("01900000-0000-7000-8000-{number:012}")
}

/// Writes rows with a job of every kind and state. `{1}` is the id with that number; `paid` are two payments of the provider.
fn fill(raw: &RawDb, paid: &[Value]) {
    let mut sql = "
        INSERT INTO users (id, email, email_key, password_hash, name, role, email_verified, phone_verified, created_at)
            VALUES ({1}, 'ada@example.com', 'ada@example.com', '', 'Ada', 'CUSTOMER', 1, 0, 0);
        INSERT INTO outbox (id, recipient, template, data, state, tries, since, due_at, error, created_at)
            VALUES ({2}, 'ada@example.com', 'password-changed', '{\"name\":\"Ada\"}', 'waiting', 2, 0, 0, 'down', 0),
                ({3}, 'ada@example.com', 'password-changed', '{\"name\":\"Ada\"}', 'dead', 5, 0, 0, 'gone', 0);
        INSERT INTO outbox (id, recipient, template, subject, state, tries, since, due_at, sent_at, created_at)
            VALUES ({4}, 'ada@example.com', 'password-changed', 'Hello', 'sent', 3, 0, 0, 1, 0);
        INSERT INTO image_removals (image_id, due_at, tries, error) VALUES ({5}, 0, 1, 'down');
        INSERT INTO orders (id, number, user_id, status, total, created_at, updated_at)
            VALUES ({6}, 'AAAA0006', {1}, 'PENDING', 129900, 0, 0), ({7}, 'AAAA0007', {1}, 'PAID', 129900, 0, 0),
                ({8}, 'AAAA0008', {1}, 'PAID', 129900, 0, 0);
        INSERT INTO payments (order_id, id, provider, status, amount, created_at, updated_at, due_at, tries, error)
            VALUES ({6}, {9}, 'razorpay', 'CREATED', 129900, 0, 0, 0, 4, 'down');
        INSERT INTO payments (order_id, id, provider, provider_order_id, status, amount, transaction_id, created_at,
                              updated_at)
            VALUES ({7}, {10}, 'razorpay', '{order 0}', 'CAPTURED', 129900, '{payment 0}', 0, 0),
                ({8}, {11}, 'razorpay', '{order 1}', 'CAPTURED', 129900, '{payment 1}', 0, 0);
        INSERT INTO refunds (id, order_id, amount, status, cause, restock, due_at, tries, error, created_at, updated_at)
            VALUES ({12}, {7}, 10000, 'PENDING', 'admin', 0, 0, 1, 'down', 0, 0),
                ({13}, {8}, 20000, 'FAILED', 'admin', 0, NULL, 3, 'refused', 0, 0);"
        .to_owned();
    for number in 1..=13 {
        let literal = raw.id(id(number).parse().unwrap());
        sql = sql.replace(&format!("{{{number}}}"), &literal);
    }
    for (number, payment) in paid.iter().enumerate() {
        for (name, field) in [("order", "order_id"), ("payment", "id")] {
            let value = payment[field].as_str().unwrap();
            sql = sql.replace(&format!("{{{name} {number}}}"), value);
        }
    }
    raw.run(&sql);
}

fn jobs(shop: &TestShop) -> Vec<Value> {
    let listed = shop.run(&["admin", "jobs", "list", "--json"]);
    assert!(listed.status.success(), "{listed:?}");
    serde_json::from_slice(&listed.stdout).unwrap()
}

async fn sent_ids(shop: &TestShop) -> BTreeSet<String> {
    let sent = shop.sent_emails().await.into_iter();
    sent.map(|mail| mail.message_id).collect()
}

storage_test! {
    async fn jobs_of_an_earlier_version_are_carried_over_and_run(shop: TestShop) {
        let (host, shop) = with_razorpay(&shop).await;
        let ada = shop.customer("ada").await;
        let kettle = shop.product("Kettle", 129_900, 9).await;
        let mut paid = Vec::new();
        for _ in 0..2 {
            let order = ada.place_order(&kettle, 1).await;
            run_queue(&shop).await;
            paid.push(host.pay(&provider_order_id(&ada, &order).await));
        }
        let earlier = EarlierShop::on(shop.engine).await.unwrap();
        earlier.migrate_to(VERSION);
        fill(&earlier.raw_db(), &paid);
        let shop = earlier.upgraded().await.restarted_with(&host.settings()).await;
        let images = shop.directory.path().join("images");
        let image = images.join(format!("{}.png", id(5)));
        fs::create_dir_all(images).unwrap();
        fs::write(&image, "an image").unwrap();

        let ada = "ada@example.com".to_owned();
        let expected = [
            (3, "send-mail", ada.clone(), "dead", 5, "gone"),
            (13, "send-refund", id(8), "dead", 3, "refused"),
            (2, "send-mail", ada, "waiting", 2, "down"),
            (5, "delete-image", id(5), "waiting", 1, "down"),
            (6, "make-payment-order", id(6), "waiting", 4, "down"),
            (12, "send-refund", id(7), "waiting", 1, "down"),
        ];
        let expected = expected.map(|(number, kind, subject, state, attempts, error)| {
            let due = (state == "waiting").then_some("1970-01-01T00:00:00.000Z");
            json!({ "id": id(number), "kind": kind, "subject": subject, "state": state, "dueAt": due,
                    "attempts": attempts, "lastError": error })
        });
        assert_eq!(jobs(&shop), expected);
        let failed = shop.run(&["admin", "order", "show", &id(8)]);
        let text = String::from_utf8(failed.stdout).unwrap();
        assert!(text.contains("FAILED: refused"), "{text}");
        let mails = shop.run(&["admin", "mail", "list", "--json"]);
        let mails: Vec<Value> = serde_json::from_slice(&mails.stdout).unwrap();
        let seen: Vec<_> = mails.iter().map(|mail| (mail["state"].as_str().unwrap(), mail["tries"].as_i64().unwrap())).collect();
        assert_eq!(seen, [("sent", 3), ("dead", 5), ("waiting", 2)]);

        let before = host.orders().len();
        shop.send_due_requests().await;
        assert_eq!((host.orders().len(), &host.orders()[before]["receipt"]), (before + 1, &json!(id(6))));
        let [refund] = &host.refunds()[..] else { panic!("{:?}", host.refunds()) };
        assert_eq!((&refund["payment_id"], &refund["amount"]), (&paid[0]["id"], &json!(10_000)));
        assert_eq!((shop.delete_due_images().await, image.exists()), (1, false));
        let waiting = format!("{}@shop.test", id(2));
        let dead = format!("{}@shop.test", id(3));
        let sent = sent_ids(&shop).await;
        assert!(sent.contains(&waiting) && !sent.contains(&dead), "{sent:?}");

        for number in [3, 13] {
            let retried = shop.run(&["admin", "jobs", "retry", &id(number)]);
            assert!(retried.status.success(), "{retried:?}");
        }
        shop.send_due_requests().await;
        let [_, refund] = &host.refunds()[..] else { panic!("{:?}", host.refunds()) };
        assert_eq!((&refund["payment_id"], &refund["amount"]), (&paid[1]["id"], &json!(20_000)));
        assert!(sent_ids(&shop).await.contains(&dead));
        assert_eq!(jobs(&shop), Vec::<Value>::new());
    }
}
