//! The log is append-only, and its chain of hashes shows changes that were made anyway.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::entries;
use crate::support::{Client, RawDb, TestShop, postgres_test, storage_test};

/// Changes the stock of a product `count` times at once.
async fn change_stock(admin: &Client<'_>, product: &str, count: usize) {
    let place = format!("/admin/products/{product}/stock");
    let body = json!({ "delta": 1, "reason": "found" });
    let answers = join_all((0..count).map(|_| admin.post(&place, body.clone()))).await;
    assert!(
        answers.iter().all(|answer| answer.status == 200),
        "{answers:?}"
    );
}

/// Runs `shop admin audit --verify`. Returns its exit code and what it prints.
fn verify(shop: &TestShop) -> (i32, String) {
    let output = shop.run(&["admin", "audit", "--verify"]);
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8(text).unwrap(),
    )
}

/// Returns the rows that `shop verify` reports for the chain.
fn findings(shop: &TestShop) -> Vec<String> {
    let output = shop.run(&["verify", "--json"]);
    let findings: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let of_chain = findings
        .iter()
        .filter(|finding| finding["check"] == "audit-chain");
    of_chain
        .map(|finding| finding["row"].as_str().unwrap().to_owned())
        .collect()
}

fn drop_triggers(raw: &RawDb) {
    raw.run(match raw {
        RawDb::Sqlite(_) => "DROP TRIGGER audit_not_updated; DROP TRIGGER audit_not_deleted",
        RawDb::Postgres(_) => "DROP TRIGGER audit_append_only ON audit",
    });
}

storage_test! {
    async fn the_database_refuses_changes_of_the_log(shop: TestShop) {
        let admin = shop.admin().await;
        shop.product("Kettle", 129_900, 5).await;
        let before = entries(&admin).await;
        let raw = shop.raw_db();
        for sql in ["UPDATE audit SET actor_name = 'nobody'", "DELETE FROM audit WHERE seq = 1"] {
            let error = raw.try_run(sql).unwrap_err();
            assert!(error.contains("the audit log is append-only"), "{sql}: {error}");
        }
        assert_eq!(entries(&admin).await, before);
        assert_eq!(verify(&shop).0, 0);
        assert_eq!(findings(&shop), Vec::<String>::new());
    }

    async fn changed_and_removed_entries_are_found(shop: TestShop) {
        let admin = shop.admin().await;
        let product = shop.product("Kettle", 129_900, 5).await;
        change_stock(&admin, &product, 4).await;
        assert_eq!(entries(&admin).await.len(), 6);
        let (code, text) = verify(&shop);
        assert!(code == 0 && text.starts_with("entries: 6; hash of the last: "), "{text}");
        let raw = shop.raw_db();
        drop_triggers(&raw);
        let swap = |a: &str, b: &str| format!("UPDATE audit SET {a} = {b}");
        let changes = [
            (swap("actor_name", "actor_name || '!' WHERE seq = 3"),
             swap("actor_name", "'admin' WHERE seq = 3"), 3, "it was changed"),
            (swap("request_id", "NULL WHERE seq = 2"), String::new(), 2, "it was changed"),
            ("DELETE FROM audit WHERE seq = 2".to_owned(), String::new(), 2, "it is missing"),
        ];
        for (change, revert, seq, message) in changes {
            raw.run(&change);
            let (code, text) = verify(&shop);
            assert_eq!(code, 1, "{change}: {text}");
            assert!(text.starts_with(&format!("error: audit entry {seq}: {message}")), "{text}");
            assert_eq!(findings(&shop), [format!("audit entry {seq}")], "{change}");
            if !revert.is_empty() {
                raw.run(&revert);
                assert_eq!(verify(&shop).0, 0, "{revert}");
            }
        }
        assert_eq!(shop.run(&["verify", "--repair"]).status.code(), Some(1), "nothing repairs it");
    }

    async fn concurrent_changes_form_one_chain(shop: TestShop) {
        let admin = shop.admin().await;
        let product = shop.product("Kettle", 129_900, 5).await;
        let before = entries(&admin).await.len();
        change_stock(&admin, &product, 30).await;
        let all = entries(&admin).await;
        let numbers: Vec<_> = all.iter().map(|entry| entry["seq"].as_u64().unwrap()).collect();
        assert_eq!(numbers, (1..=before as u64 + 30).rev().collect::<Vec<_>>());
        let (code, text) = verify(&shop);
        assert_eq!(code, 0, "{text}");
    }
}

postgres_test! {
    async fn concurrent_changes_of_several_instances_form_one_chain(shop: TestShop) {
        let product = shop.product("Kettle", 129_900, 5).await;
        let other = shop.another_instance().await;
        let (one, two) = (shop.admin().await, other.admin().await);
        let before = entries(&one).await.len();
        futures_util::future::join(
            change_stock(&one, &product, 20),
            change_stock(&two, &product, 20),
        )
        .await;
        assert_eq!(entries(&one).await.len(), before + 40);
        assert_eq!(entries(&two).await, entries(&one).await);
        let (code, text) = verify(&shop);
        assert_eq!(code, 0, "{text}");
        assert_eq!(shop.raw_db().number("SELECT count(*) FROM unsequenced_audit"), 0);
    }
}
