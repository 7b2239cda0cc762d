//! `GET /readyz`: what everyone sees, and what an admin sees.

use serde_json::{Value, json};
use shop::infra::jobs;

use crate::support::storage_test;

/// Returns the check with this name, of a response or a list.
pub(crate) fn check(response: &Value, name: &str) -> Value {
    let checks = response
        .get("checks")
        .unwrap_or(response)
        .as_array()
        .unwrap();
    let found = checks.iter().find(|check| check["name"] == name);
    found
        .unwrap_or_else(|| panic!("{name}: {response}"))
        .clone()
}

storage_test! {
    async fn an_admin_sees_the_checks(shop: TestShop) {
        let admin = shop.admin().await;
        let ready = admin.get("/readyz").await;
        assert_eq!((ready.status, ready.text("/status").as_str()), (200, "ready"), "{ready:?}");
        for name in ["database", "write-queue", "jobs", "clock"] {
            assert_eq!(check(&ready.json(), name)["status"], "ok", "{ready:?}");
        }
        assert!(!check(&ready.json(), "disk")["detail"].as_str().unwrap().is_empty());

        let now = shop.app.clock.now();
        let give_up = move |tx: &mut shop::infra::db::Tx<'_>| {
            let subject: uuid::Uuid = tx.id();
            let job = jobs::NewJob { kind: "send-mail", subject, payload: "", due_at: now };
            jobs::record_dead(tx, &job, "no such mailbox")
        };
        shop.app.db.write("test.dead_job", give_up).await.unwrap();
        let jobs = check(&admin.get("/readyz").await.json(), "jobs");
        assert_eq!(jobs["status"], "warning");
        assert!(jobs["detail"].as_str().unwrap().contains("1 dead"), "{jobs}");
    }

    async fn others_see_only_whether_the_shop_is_ready(shop: TestShop) {
        let plain = json!({ "status": "ready" });
        for client in [shop.anonymous(), shop.customer("ada").await, shop.bearer("not a token")] {
            let ready = client.get("/readyz").await;
            assert_eq!((ready.status, ready.json()), (200, plain.clone()));
        }
    }

    async fn a_stopping_shop_is_not_ready(shop: TestShop) {
        let admin = shop.admin().await;
        shop.app.stopping.cancel();
        let anonymous = shop.anonymous().get("/readyz").await;
        anonymous.assert_problem(503, "unavailable");
        assert!(anonymous.json().get("checks").is_none());
        let response = admin.get("/readyz").await;
        response.assert_problem(503, "unavailable");
        assert!(response.header("retry-after").is_some());
        let database = check(&response.json(), "database");
        assert_eq!(database, json!({ "name": "database", "status": "error", "detail": "the server is stopping" }));
    }
}
