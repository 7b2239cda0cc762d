//! The link by which an operator creates the first admin.

use http::Method;
use serde_json::{Value, json};
use shop::{domain::accounts, infra::db::Tx};

use super::{PASSWORD, ada, log_in};
use crate::support::{TestResponse, TestShop, postgres_test, storage_test};

/// Returns the link that a starting server prints.
pub(crate) async fn first_admin_link(shop: &TestShop) -> Option<String> {
    let key = shop.app.first_admin.clone();
    let find = move |tx: &mut Tx<'_>| accounts::first_admin_link(tx, &key);
    shop.app.db.write("test.link", find).await.unwrap()
}

/// Returns the token of the link, which must exist.
pub(crate) async fn first_admin_token(shop: &TestShop) -> String {
    let link = first_admin_link(shop).await.unwrap();
    let token = link.strip_prefix("http://shop.test/first-admin#token=");
    token.unwrap().to_owned()
}

/// Sends the form of the page.
pub(crate) async fn create_first_admin(shop: &TestShop, token: &str, email: &str) -> TestResponse {
    let body = json!({ "token": token, "email": email, "name": "Boss", "password": PASSWORD });
    shop.anonymous().post("/first-admin", body).await
}

const BOSS: &str = "boss@example.com";

storage_test! {
    async fn the_link_creates_one_admin_and_then_ends(shop: TestShop) {
        let token = first_admin_token(&shop).await;
        assert_eq!(first_admin_token(&shop).await, token, "the same after a restart");
        for (table, rows) in shop.raw_db().dump() {
            assert!(!rows.concat().contains(&token), "{table} holds the token");
        }
        let page = shop.anonymous().get("/first-admin").await;
        assert_eq!(page.status, 200);
        assert!(String::from_utf8_lossy(&page.body).contains("SHOP_CONSOLE=on"), "says how to go on");
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("form-action 'none'"), "{policy}");

        for wrong in ["", "0", &"0".repeat(64), &token[1..], &token.to_uppercase()] {
            create_first_admin(&shop, wrong, BOSS).await.assert_problem(400, "invalid-token");
        }
        let body = json!({ "token": token, "email": BOSS, "name": "Boss", "password": "short" });
        let short = shop.anonymous().post("/first-admin", body).await;
        assert_eq!((short.status, short.text("/errors/0/field")), (422, "password".to_owned()));

        let created = create_first_admin(&shop, &token, BOSS).await;
        assert_eq!(created.status, 201, "{created:?}");
        assert_eq!(created.text("/user/role"), "ADMIN");
        assert_eq!(created.json()["user"]["isEmailVerified"], true);
        let signed_in = log_in(&shop.anonymous(), BOSS, PASSWORD).await;
        let admin = shop.bearer(&signed_in.text("/accessToken"));
        assert_eq!(admin.get("/admin/users").await.number("/total"), 1);

        create_first_admin(&shop, &token, "other@example.com").await.assert_problem(400, "invalid-token");
        assert_eq!(first_admin_link(&shop).await, None);
    }

    async fn the_link_ends_when_another_admin_exists(shop: TestShop) {
        let token = first_admin_token(&shop).await;
        let add = ["admin", "user", "add", "--email", "a@example.com", "--name", "A", "--role", "ADMIN"];
        let added = shop.run(&add);
        assert!(added.status.success(), "{added:?}");
        create_first_admin(&shop, &token, BOSS).await.assert_problem(400, "invalid-token");
        assert_eq!(first_admin_link(&shop).await, None);

        // Nor does it work again if that admin is gone.
        shop.raw_db().run("UPDATE users SET role = 'CUSTOMER'");
        create_first_admin(&shop, &token, BOSS).await.assert_problem(400, "invalid-token");
        assert_ne!(first_admin_token(&shop).await, token);
    }

    async fn an_address_that_is_taken_leaves_the_link_valid(shop: TestShop) {
        let registered = shop.anonymous().post("/auth/register", ada()).await;
        assert_eq!(registered.status, 201, "{registered:?}");
        let token = first_admin_token(&shop).await;
        create_first_admin(&shop, &token, "ada@example.com").await.assert_problem(409, "email-taken");
        assert_eq!(create_first_admin(&shop, &token, BOSS).await.status, 201);
    }

    async fn of_two_requests_one_creates_the_admin(shop: TestShop) {
        let token = first_admin_token(&shop).await;
        let both = tokio::join!(
            create_first_admin(&shop, &token, "a@example.com"),
            create_first_admin(&shop, &token, "b@example.com"),
        );
        let mut statuses = [both.0.status, both.1.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 400], "{both:?}");
        assert_eq!(shop.raw_db().number("SELECT count(*) FROM users"), 1);
    }

    async fn the_form_must_be_json(shop: TestShop) {
        // A page of another site can send only other forms without asking.
        let token = first_admin_token(&shop).await;
        let body = json!({ "token": token, "email": BOSS, "name": "Boss", "password": PASSWORD });
        let headers = [("content-type", "text/plain")];
        let anonymous = shop.anonymous();
        let sent = anonymous.raw(Method::POST, "/first-admin", &headers, body.to_string()).await;
        assert_eq!(sent.status, 415);
        assert_eq!(anonymous.post("/first-admin", Value::Null).await.status, 415);
    }
}

postgres_test! {
    async fn all_instances_print_the_same_link(shop: TestShop) {
        let other = shop.another_instance().await;
        let token = first_admin_token(&shop).await;
        assert_eq!(first_admin_token(&other).await, token);
        assert_eq!(create_first_admin(&other, &token, BOSS).await.status, 201);
        create_first_admin(&shop, &token, BOSS).await.assert_problem(400, "invalid-token");
    }
}
