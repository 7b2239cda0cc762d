//! User administration.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use shop::domain::accounts::Role;

use crate::support::{Client, TestResponse, storage_test};

async fn set_role(by: &Client<'_>, id: &str, role: &str) -> TestResponse {
    by.patch(&format!("/admin/users/{id}"), json!({ "role": role }))
        .await
}

async fn id_of(client: &Client<'_>) -> String {
    client.get("/me").await.text("/id")
}

storage_test! {
    async fn admins_list_accounts_in_pages(shop: TestShop) {
        let admin = shop.admin().await;
        for name in ["ada", "bob", "cleo"] {
            shop.advance_clock(Duration::from_millis(1));
            shop.customer(name).await;
        }
        let page = admin.get("/admin/users?limit=3").await;
        assert_eq!((page.number("/total"), page.number("/totalPages")), (4, 2));
        let emails: Vec<_> = page.json()["data"].as_array().unwrap().iter()
            .map(|user| user["email"].as_str().unwrap().to_owned()).collect();
        assert_eq!(emails, ["admin@example.com", "ada@example.com", "bob@example.com"]);
        let last = admin.get("/admin/users?limit=3&page=2").await;
        assert_eq!(last.text("/data/0/email"), "cleo@example.com");
        assert!(last.json()["data"][0].get("passwordHash").is_none());

        let found = admin.get("/admin/users?email=BOB%40Example.com").await;
        assert_eq!((found.number("/total"), found.text("/data/0/email")), (1, "bob@example.com".to_owned()));
        assert_eq!(admin.get("/admin/users?email=nobody%40example.com").await.number("/total"), 0);
        for wrong in ["?email=bob", "?role=ADMIN", "?limit=0", "?email=%00%40example.com"] {
            admin.get(&format!("/admin/users{wrong}")).await.assert_problem(400, "invalid-query");
        }
    }

    async fn admins_read_an_account(shop: TestShop) {
        let (admin, bob) = (shop.admin().await, shop.customer("bob").await);
        let account = bob.get("/me").await.json();
        let path = format!("/admin/users/{}", id_of(&bob).await);
        assert_eq!(admin.get(&path).await.json(), account);
        bob.get(&path).await.assert_problem(403, "forbidden");
        for unknown in ["01900000-0000-7000-8000-000000000000", "bob"] {
            admin.get(&format!("/admin/users/{unknown}")).await.assert_problem(404, "not-found");
        }
    }

    async fn a_role_change_ends_the_sessions(shop: TestShop) {
        let (admin, bob) = (shop.admin().await, shop.customer("bob").await);
        let id = id_of(&bob).await;
        let changed = set_role(&admin, &id, "ADMIN").await;
        assert_eq!((changed.status, changed.text("/role"), changed.text("/id")), (200, "ADMIN".to_owned(), id.clone()));
        bob.get("/me").await.assert_problem(401, "unauthorized");
        let bob = shop.customer("bob").await;
        assert_eq!(bob.get("/admin/users").await.status, 200);
        for wrong in [json!("BOSS"), json!("admin"), json!(1), Value::Null] {
            let path = format!("/admin/users/{id}");
            admin.patch(&path, json!({ "role": wrong })).await.assert_invalid_field("role");
        }
        let unknown = set_role(&admin, "01900000-0000-7000-8000-000000000000", "ADMIN").await;
        unknown.assert_problem(404, "not-found");
    }

    async fn the_last_admin_can_be_neither_demoted_nor_disabled(shop: TestShop) {
        let admin = shop.admin().await;
        let id = id_of(&admin).await;
        set_role(&admin, &id, "CUSTOMER").await.assert_problem(409, "last-admin");
        assert!(!shop.run(&["admin", "user", "disable", "admin@example.com"]).status.success());
        assert_eq!(admin.get("/me").await.status, 200, "nothing was changed");

        let bob = shop.sign_in("bob", Role::Admin).await;
        assert!(shop.run(&["admin", "user", "disable", "bob@example.com"]).status.success());
        bob.get("/me").await.assert_problem(401, "unauthorized");
        set_role(&admin, &id, "CUSTOMER").await.assert_problem(409, "last-admin");
    }

    async fn two_admins_who_demote_each_other_leave_one_admin(shop: TestShop) {
        for round in 0..5 {
            let (one, other) = (format!("one{round}"), format!("other{round}"));
            let (one, other) = (shop.sign_in(&one, Role::Admin).await, shop.sign_in(&other, Role::Admin).await);
            let ids = (id_of(&one).await, id_of(&other).await);
            // Demotes the admins of earlier rounds.
            for admin in one.get("/admin/users?limit=100").await.json()["data"].as_array().unwrap() {
                let id = admin["id"].as_str().unwrap();
                if admin["role"] == "ADMIN" && id != ids.0 && id != ids.1 {
                    assert_eq!(set_role(&one, id, "CUSTOMER").await.status, 200);
                }
            }
            let (first, second) = futures_util::future::join(
                set_role(&one, &ids.1, "CUSTOMER"),
                set_role(&other, &ids.0, "CUSTOMER"),
            ).await;
            let mut statuses = [first.status, second.status];
            statuses.sort_unstable();
            assert_eq!(statuses[0], 200, "{first:?} {second:?}");
            assert!([401, 403, 409].contains(&statuses[1]), "{first:?} {second:?}");
        }
    }

    async fn a_removed_role_takes_effect_at_the_next_request(shop: TestShop) {
        let (admin, bob) = (shop.admin().await, shop.sign_in("bob", Role::Admin).await);
        let id = id_of(&bob).await;
        assert_eq!(set_role(&admin, &id, "CUSTOMER").await.status, 200);
        let body = json!({ "name": "Kettle", "price": 1 });
        bob.call(Method::POST, "/products", &[], body).await.assert_problem(401, "unauthorized");
    }
}
