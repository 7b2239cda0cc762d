//! Concurrent changes of accounts and sessions.

use futures_util::future::{join, join_all};
use serde_json::json;
use shop::{
    core::error::Kind,
    domain::accounts::{self, Email, Role},
};

use super::{assert_one_succeeds, count_responses};
use crate::support::{Client, Engine, TestShop};

const PASSWORD: &str = "correct horse battery";

/// Sets a user's role, like `shop admin user`.
async fn set_role(
    shop: &TestShop,
    name: &str,
    role: Role,
) -> shop::core::error::Result<accounts::User> {
    let email = Email::parse(&format!("{name}@example.com")).unwrap();
    let updated = shop.app.db.write("test.role", move |tx| {
        let user = accounts::user_by_email(tx, &email)?;
        accounts::set_role(tx, user.id, role)
    });
    updated.await
}

async fn refresh(anonymous: &Client<'_>, token: &str) -> crate::support::TestResponse {
    let body = json!({ "refreshToken": token });
    anonymous.post("/auth/refresh", body).await
}

contention_test! {
    async fn the_last_two_admins_cannot_both_be_demoted(shop: TestShop) {
        for name in ["ada", "bob"] {
            shop.sign_in(name, Role::Admin).await;
        }
        for _ in 0..10 {
            let (one, other) =
                join(set_role(&shop, "ada", Role::Customer), set_role(&shop, "bob", Role::Customer)).await;
            let (stays, refused) = match (one, other) {
                (Ok(_), Err(refused)) => ("bob", refused),
                (Err(refused), Ok(_)) => ("ada", refused),
                both => panic!("{both:?}"),
            };
            assert_eq!(refused.kind(), Kind::Conflict("last-admin"));
            let admins = "SELECT email_key FROM users WHERE role = 'ADMIN'";
            assert_eq!(shop.raw_db().rows(admins).concat(), [Some(format!("{stays}@example.com"))]);
            for name in ["ada", "bob"] {
                set_role(&shop, name, Role::Admin).await.unwrap();
            }
        }
    }

    async fn concurrent_registrations_of_an_address_create_one_account(shop: TestShop) {
        let anonymous = shop.anonymous();
        let spellings = ["ada@example.com", "ADA@example.com", "Ada@EXAMPLE.com", " ada@example.com"];
        let register = (0..20).map(|number| {
            let email = spellings[number % spellings.len()];
            let body = json!({ "email": email, "password": PASSWORD, "name": "Somebody" });
            anonymous.post("/auth/register", body)
        });
        assert_one_succeeds(&join_all(register).await, 201, (409, "email-taken"));
        assert_eq!(shop.raw_db().number("SELECT count(*) FROM users"), 1);
    }

    async fn a_refresh_token_works_for_one_of_twenty_concurrent_requests(shop: TestShop) {
        shop.customer("ada").await;
        let anonymous = shop.anonymous();
        let body = json!({ "email": "ada@example.com", "password": PASSWORD });
        let signed_in = anonymous.post("/auth/login", body).await;
        let mut token = signed_in.text("/refreshToken");
        for _ in 0..5 {
            let answers = join_all((0..20).map(|_| refresh(&anonymous, &token))).await;
            assert_one_succeeds(&answers, 200, (401, "invalid-token"));
            let won = answers.iter().find(|answer| answer.status == 200).unwrap();
            token = won.text("/refreshToken");
        }
        assert_eq!(refresh(&anonymous, &token).await.status, 200);
    }

    async fn requests_after_a_concurrent_logout_are_unauthorized(shop: TestShop) {
        shop.customer("ada").await;
        let anonymous = shop.anonymous();
        for _ in 0..5 {
            let body = json!({ "email": "ada@example.com", "password": PASSWORD });
            let signed_in = anonymous.post("/auth/login", body).await;
            let ada = shop.bearer(&signed_in.text("/accessToken"));
            let token = json!({ "refreshToken": signed_in.text("/refreshToken") });
            let (gone, carts) = join(
                anonymous.post("/auth/logout", token),
                join_all((0..8).map(|_| ada.delete("/cart"))),
            )
            .await;
            assert_eq!(gone.status, 204);
            let counts = count_responses(&carts);
            assert!(counts.keys().all(|(status, _)| [200, 401].contains(status)), "{counts:?}");
            ada.get("/cart").await.assert_problem(401, "unauthorized");
        }
    }
}

/// Postgres only: with SQLite's single writer, no transaction waits for another one's lock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_waited_for_a_lock_sees_the_end_of_its_session() {
    let Some(shop) = TestShop::on(Engine::Postgres).await else {
        return;
    };
    let ada = shop.customer("ada").await;
    let (other, watch) = (shop.raw_db(), shop.raw_db());
    other.run("BEGIN; UPDATE users SET password_hash = 'new'; DELETE FROM sessions");
    let end = async {
        let waiting = "SELECT count(*) FROM pg_stat_activity
             WHERE wait_event_type = 'Lock' AND datname = current_database()";
        while watch.number(waiting) == 0 {
            tokio::task::yield_now().await;
        }
        other.release();
    };
    let (answer, ()) = join(ada.delete("/cart"), end).await;
    answer.assert_problem(401, "unauthorized");
}
