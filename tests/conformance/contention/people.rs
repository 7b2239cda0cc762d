//! Accounts and sessions.

use futures_util::future::{join, join_all};
use serde_json::json;
use shop::{
    core::error::Kind,
    domain::accounts::{self, Email, Role},
};

use super::{one_wins, tally};
use crate::support::{Client, Engine, TestShop};

const PASSWORD: &str = "correct horse battery";

/// Gives a role as `shop admin user` does.
async fn give(
    shop: &TestShop,
    name: &str,
    role: Role,
) -> shop::core::error::Result<accounts::User> {
    let email = Email::parse(&format!("{name}@example.com")).unwrap();
    let given = shop.app.db.write("test.role", move |tx| {
        let user = accounts::user_by_email(tx, &email)?;
        accounts::set_role(tx, user.id, role)
    });
    given.await
}

async fn refreshed(visitor: &Client<'_>, token: &str) -> crate::support::Answer {
    let body = json!({ "refreshToken": token });
    visitor.post("/auth/refresh", body).await
}

contention_test! {
    async fn of_two_last_admins_one_stays(shop: TestShop) {
        for name in ["ada", "bob"] {
            shop.sign_in(name, Role::Admin).await;
        }
        for _ in 0..10 {
            let (one, other) =
                join(give(&shop, "ada", Role::Customer), give(&shop, "bob", Role::Customer)).await;
            let (stays, refused) = match (one, other) {
                (Ok(_), Err(refused)) => ("bob", refused),
                (Err(refused), Ok(_)) => ("ada", refused),
                both => panic!("{both:?}"),
            };
            assert_eq!(refused.kind(), Kind::Conflict("last-admin"));
            let admins = "SELECT email_key FROM users WHERE role = 'ADMIN'";
            assert_eq!(shop.raw_db().rows(admins).concat(), [Some(format!("{stays}@example.com"))]);
            for name in ["ada", "bob"] {
                give(&shop, name, Role::Admin).await.unwrap();
            }
        }
    }

    async fn one_address_typed_twenty_ways_at_once_is_one_account(shop: TestShop) {
        let visitor = shop.anonymous();
        let spellings = ["ada@example.com", "ADA@example.com", "Ada@EXAMPLE.com", " ada@example.com"];
        let register = (0..20).map(|number| {
            let email = spellings[number % spellings.len()];
            let body = json!({ "email": email, "password": PASSWORD, "name": "Somebody" });
            visitor.post("/auth/register", body)
        });
        one_wins(&join_all(register).await, 201, (409, "email-taken"));
        assert_eq!(shop.raw_db().number("SELECT count(*) FROM users"), 1);
    }

    async fn a_refresh_token_is_good_for_one_of_twenty_at_once(shop: TestShop) {
        shop.customer("ada").await;
        let visitor = shop.anonymous();
        let body = json!({ "email": "ada@example.com", "password": PASSWORD });
        let signed_in = visitor.post("/auth/login", body).await;
        let mut token = signed_in.text("/refreshToken");
        for _ in 0..5 {
            let answers = join_all((0..20).map(|_| refreshed(&visitor, &token))).await;
            one_wins(&answers, 200, (401, "invalid-token"));
            let won = answers.iter().find(|answer| answer.status == 200).unwrap();
            token = won.text("/refreshToken");
        }
        assert_eq!(refreshed(&visitor, &token).await.status, 200);
    }

    async fn a_session_that_ends_meanwhile_ends(shop: TestShop) {
        shop.customer("ada").await;
        let visitor = shop.anonymous();
        for _ in 0..5 {
            let body = json!({ "email": "ada@example.com", "password": PASSWORD });
            let signed_in = visitor.post("/auth/login", body).await;
            let ada = shop.bearer(&signed_in.text("/accessToken"));
            let token = json!({ "refreshToken": signed_in.text("/refreshToken") });
            let (gone, carts) = join(
                visitor.post("/auth/logout", token),
                join_all((0..8).map(|_| ada.delete("/cart"))),
            )
            .await;
            assert_eq!(gone.status, 204);
            let told = tally(&carts);
            assert!(told.keys().all(|(status, _)| [200, 401].contains(status)), "{told:?}");
            ada.get("/cart").await.is_problem(401, "unauthorized");
        }
    }
}

/// One writer lets nobody wait inside a transaction; several do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waited_while_the_session_ended_is_out() {
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
        other.let_go();
    };
    let (answer, ()) = join(ada.delete("/cart"), end).await;
    answer.is_problem(401, "unauthorized");
}
