//! Limits on wrong passwords, emails and phone codes. An attacker must not be able to lock the owner out.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use http::Method;
use serde_json::{Value, json};

use super::{PASSWORD, log_in};
use crate::support::{TestResponse, TestShop, postgres_test, storage_test};

const WRONG: &str = "wrong horse battery";
const NEW: &str = "a brand new staple";
const ADA: &str = "ada@example.com";
const NOBODY: &str = "nobody@example.com";

const WINDOW: Duration = Duration::from_mins(15);
const TICK: Duration = Duration::from_millis(1);

async fn with_limits(shop: &TestShop) -> TestShop {
    shop.with_settings(&[("rate_limit", "on")]).await
}

async fn log_in_at(shop: &TestShop, peer: &str, email: &str, password: &str) -> TestResponse {
    log_in(&shop.anonymous().at(peer), email, password).await
}

/// How many passwords an attack sends at a time. More could fill the queue of passwords to check, and an attempt that
/// waits there counts until it is refused.
const CONCURRENT_GUESSES: usize = 4;

/// Sends one wrong password from each of `networks` networks, several at a time. Returns how many were checked
/// and how many were rejected.
async fn attack(shop: &TestShop, email: &str, prefix: &str, networks: usize) -> (usize, usize) {
    let guess = |number| async move {
        loop {
            let peer = format!("{prefix}.{number}");
            match log_in_at(shop, &peer, email, WRONG).await.status {
                // The queue of passwords to check was full; nothing was checked.
                503 => {}
                status => break status,
            }
        }
    };
    let statuses: Vec<_> = futures_util::stream::iter((0..networks).map(guess))
        .buffer_unordered(CONCURRENT_GUESSES)
        .collect()
        .await;
    let count = |expected| {
        statuses
            .iter()
            .filter(|status| **status == expected)
            .count()
    };
    assert_eq!(count(401) + count(429), networks, "{statuses:?}");
    (count(401), count(429))
}

async fn forgot(shop: &TestShop, peer: &str, email: &str) {
    // Emails are sent in the order of their timestamps.
    shop.advance_clock(TICK);
    let anonymous = shop.anonymous().at(peer);
    let answer = anonymous
        .post("/auth/forgot-password", json!({ "email": email }))
        .await;
    assert_eq!(answer.status, 202, "{answer:?}");
}

async fn reset(shop: &TestShop, peer: &str, token: &str) -> TestResponse {
    let body = json!({ "token": token, "password": NEW });
    shop.anonymous()
        .at(peer)
        .post("/auth/reset-password", body)
        .await
}

storage_test! {
    async fn ten_wrong_passwords_block_only_one_network(shop: TestShop) {
        let shop = with_limits(&shop).await;
        shop.customer("ada").await;
        let (from, elsewhere) = ("203.0.113.7", "203.0.113.8");
        let mut refusals = Vec::new();
        for email in [ADA, NOBODY] {
            // Concurrent guesses do not exceed the limit.
            let guesses = (0..12).map(|_| log_in_at(&shop, from, email, WRONG));
            let answers = futures_util::future::join_all(guesses).await;
            let checked = answers.iter().filter(|answer| answer.status == 401).count();
            let refused = answers.iter().filter(|answer| answer.status == 429).count();
            assert_eq!((checked, refused), (10, 2), "{email}");

            let id = [("x-request-id", "the-same")];
            let body = json!({ "email": email, "password": PASSWORD });
            let anonymous = shop.anonymous().at(from);
            let refused = anonymous.call(Method::POST, "/auth/login", &id, body).await;
            refused.assert_problem(429, "too-many-requests");
            let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
            assert!((1..=900).contains(&wait), "{wait}");
            assert!(refused.header("ratelimit").is_some());
            refusals.push(refused.body);
        }
        assert_eq!(refusals[0], refusals[1], "the same for known and unknown addresses");
        assert_eq!(log_in_at(&shop, elsewhere, ADA, PASSWORD).await.status, 200);
        log_in_at(&shop, from, ADA, PASSWORD).await.assert_problem(429, "too-many-requests");

        // The lockout ends with its window.
        shop.advance_clock(WINDOW + TICK);
        assert_eq!(log_in_at(&shop, from, ADA, PASSWORD).await.status, 200);
    }

    async fn a_correct_password_resets_the_count_of_its_network(shop: TestShop) {
        let shop = with_limits(&shop).await;
        shop.customer("ada").await;
        for _ in 0..2 {
            for _ in 0..9 {
                assert_eq!(log_in_at(&shop, "203.0.113.7", ADA, WRONG).await.status, 401);
            }
            assert_eq!(log_in_at(&shop, "203.0.113.7", ADA, PASSWORD).await.status, 200);
        }
    }

    async fn an_ipv6_customer_counts_as_one_network(shop: TestShop) {
        let shop = with_limits(&shop).await;
        shop.customer("ada").await;
        for host in 1..=10 {
            let peer = format!("2001:db8:1:1::{host}");
            assert_eq!(log_in_at(&shop, &peer, ADA, WRONG).await.status, 401);
        }
        assert_eq!(log_in_at(&shop, "2001:db8:1:1:ffff::1", ADA, PASSWORD).await.status, 429);
        assert_eq!(log_in_at(&shop, "2001:db8:1:2::1", ADA, PASSWORD).await.status, 200);
    }

    async fn an_attack_from_many_networks_does_not_lock_the_owner_out(shop: TestShop) {
        let shop = with_limits(&shop).await;
        shop.customer("ada").await;
        let (home, neighbour, cafe) = ("198.51.100.7", "198.51.100.201", "192.0.2.9");
        assert_eq!(log_in_at(&shop, home, ADA, PASSWORD).await.status, 200);

        for email in [ADA, NOBODY] {
            assert_eq!(attack(&shop, email, "203.0.113", 75).await, (60, 15), "{email}");
        }
        // Internet providers change their customers' addresses.
        for peer in [home, neighbour] {
            assert_eq!(log_in_at(&shop, peer, ADA, PASSWORD).await.status, 200, "{peer}");
        }
        log_in_at(&shop, cafe, ADA, PASSWORD).await.assert_problem(429, "too-many-requests");
        assert_eq!(attack(&shop, ADA, "203.0.114", 5).await, (0, 5), "the owner's login does not reset the count");
        log_in_at(&shop, home, NOBODY, PASSWORD).await.assert_problem(429, "too-many-requests");
    }

    async fn a_password_reset_clears_the_counts(shop: TestShop) {
        let shop = with_limits(&shop).await;
        shop.customer("ada").await;
        let (home, cafe) = ("198.51.100.7", "192.0.2.9");
        assert_eq!(log_in_at(&shop, home, ADA, PASSWORD).await.status, 200);
        for _ in 0..10 {
            assert_eq!(log_in_at(&shop, cafe, ADA, WRONG).await.status, 401);
        }
        assert_eq!(attack(&shop, ADA, "203.0.113", 55).await, (50, 5));
        assert_eq!(log_in_at(&shop, cafe, ADA, PASSWORD).await.status, 429);

        forgot(&shop, cafe, ADA).await;
        let token = shop.emailed_token(ADA).await;
        assert_eq!(reset(&shop, cafe, &token).await.status, 204);
        assert_eq!(log_in_at(&shop, cafe, ADA, NEW).await.status, 200);
        assert_eq!(log_in_at(&shop, "233.252.0.1", ADA, NEW).await.status, 200, "both counts");

        // The networks known before the reset may be the attacker's.
        assert_eq!(attack(&shop, ADA, "203.0.114", 65).await, (60, 5));
        log_in_at(&shop, home, ADA, NEW).await.assert_problem(429, "too-many-requests");
        assert_eq!(log_in_at(&shop, "192.0.2.200", ADA, NEW).await.status, 200);
    }

    async fn a_refresh_makes_a_network_known_for_ninety_days(shop: TestShop) {
        let shop = with_limits(&shop).await;
        shop.customer("ada").await;
        let signed_in = log_in_at(&shop, "2001:db8:1:1::1", ADA, PASSWORD).await;
        let token = json!({ "refreshToken": signed_in.text("/refreshToken") });
        let refreshed = shop.anonymous().at("198.51.100.7").post("/auth/refresh", token).await;
        assert_eq!(refreshed.status, 200);
        let again = json!({ "refreshToken": refreshed.text("/refreshToken") });

        shop.advance_clock(Duration::from_hours(29 * 24));
        let refreshed = shop.anonymous().at("198.51.100.8").post("/auth/refresh", again).await;
        assert_eq!(refreshed.status, 200);
        shop.advance_clock(Duration::from_hours(61 * 24) + TICK);
        shop::worker::clean_up(&shop.app).await;
        assert_eq!(attack(&shop, ADA, "203.0.113", 61).await, (60, 1));
        let late = log_in_at(&shop, "2001:db8:1:ff::1", ADA, PASSWORD).await;
        late.assert_problem(429, "too-many-requests");
        assert_eq!(log_in_at(&shop, "198.51.100.250", ADA, PASSWORD).await.status, 200);

        shop.advance_clock(Duration::from_hours(91 * 24));
        shop::worker::clean_up(&shop.app).await;
        assert_eq!(shop.raw_db().dump()["known_networks"].len(), 0);
    }

    async fn a_login_makes_the_whole_ipv6_network_known(shop: TestShop) {
        let shop = with_limits(&shop).await;
        shop.customer("ada").await;
        assert_eq!(log_in_at(&shop, "2001:db8:1:1::1", ADA, PASSWORD).await.status, 200);
        assert_eq!(attack(&shop, ADA, "203.0.113", 61).await, (60, 1));
        assert_eq!(log_in_at(&shop, "2001:db8:1:ff::1", ADA, PASSWORD).await.status, 200);
        assert_eq!(log_in_at(&shop, "2001:db8:2:1::1", ADA, PASSWORD).await.status, 429);
    }

    async fn known_networks_are_stored_as_keyed_hashes(shop: TestShop) {
        shop.customer("ada").await;
        assert_eq!(log_in_at(&shop, "198.51.100.7", ADA, PASSWORD).await.status, 200);
        let stored = shop.raw_db().dump()["known_networks"].concat();
        let (network, unkeyed) = ("198.51.100.0/24", <sha2::Sha256 as sha2::Digest>::digest("198.51.100.0/24"));
        assert!(!stored.is_empty() && !stored.contains("198.51"), "{stored}");
        for guess in [hex::encode(network), hex::encode(unkeyed)] {
            assert!(!stored.contains(&guess), "{stored}");
        }
    }

    async fn known_networks_survive_a_key_rotation(shop: TestShop) {
        let (old, new) = ("the old key of a shop: long enough", "the new key of a shop: long enough");
        let before = shop.with_settings(&[("jwt_secret", old), ("rate_limit", "on")]).await;
        before.customer("ada").await;
        assert_eq!(log_in_at(&before, "198.51.100.7", ADA, PASSWORD).await.status, 200);
        let both = format!("{new},{old}");
        let shop = before.restarted_with(&[("jwt_secret", &both), ("rate_limit", "on")]).await;
        assert_eq!(attack(&shop, ADA, "203.0.113", 61).await, (60, 1));
        assert_eq!(log_in_at(&shop, "198.51.100.9", ADA, PASSWORD).await.status, 200);
    }

    async fn a_stolen_session_cannot_guess_the_password(shop: TestShop) {
        let shop = with_limits(&shop).await;
        let (thief, owner) = (shop.customer("ada").await, shop.customer("ada").await);
        let body = json!({ "currentPassword": "guess", "newPassword": NEW });
        let mut statuses = Vec::new();
        for number in 0..12 {
            let thief = thief.clone().at(&format!("203.0.113.{number}"));
            statuses.push(thief.call(Method::PUT, "/me/password", &[], body.clone()).await.status);
        }
        assert_eq!(statuses[..10], [422; 10]);
        assert_eq!(statuses[10..], [429; 2]);

        // The owner's other session, logins and resets are not limited.
        assert_eq!(log_in_at(&shop, "192.0.2.1", ADA, PASSWORD).await.status, 200);
        let body = json!({ "currentPassword": PASSWORD, "newPassword": NEW });
        let changed = owner.call(Method::PUT, "/me/password", &[], body).await;
        assert_eq!(changed.status, 204, "{changed:?}");
    }

    async fn an_attack_on_the_login_does_not_block_password_changes(shop: TestShop) {
        let shop = with_limits(&shop).await;
        let ada = shop.customer("ada").await;
        assert_eq!(attack(&shop, ADA, "203.0.113", 61).await, (60, 1));
        let body = json!({ "currentPassword": PASSWORD, "newPassword": NEW });
        assert_eq!(ada.call(Method::PUT, "/me/password", &[], body).await.status, 204);
    }

    async fn an_attacker_cannot_use_up_the_owners_reset_emails(shop: TestShop) {
        let shop = with_limits(&shop).await;
        shop.customer("ada").await;
        for _ in 0..7 {
            forgot(&shop, "203.0.113.1", ADA).await;
            forgot(&shop, "203.0.113.1", NOBODY).await;
        }
        assert_eq!(shop.sent_emails().await.len(), 5);
        forgot(&shop, "198.51.100.7", ADA).await;
        assert_eq!(shop.sent_emails().await.len(), 6);
        for network in 2..=9 {
            for _ in 0..3 {
                forgot(&shop, &format!("203.0.113.{network}"), ADA).await;
            }
        }
        let emails = shop.sent_emails().await;
        assert_eq!(emails.len(), 20, "over all networks");
        // The last link works for an hour: the owner is not locked out.
        let token = shop.emailed_token(ADA).await;
        assert_eq!(reset(&shop, "198.51.100.7", &token).await.status, 204);
        shop.advance_clock(Duration::from_hours(1) + TICK);
        forgot(&shop, "203.0.113.1", ADA).await;
        // One more is the notification of the changed password.
        assert_eq!(shop.sent_emails().await.len(), 22);
    }

    async fn codes_are_limited_by_account_number_and_network(shop: TestShop) {
        let shop = with_limits(&shop).await;
        let ask = async |name: &str, peer: &str, number: u64| {
            let body = json!({ "phone": format!("+9198123{number:05}") });
            shop.customer(name).await.at(peer).post("/me/phone", body).await.status
        };
        for number in 0..5 {
            assert_eq!(ask("ada", "203.0.113.1", number).await, 202);
        }
        assert_eq!(ask("ada", "203.0.113.2", 5).await, 429, "the account");
        for user in 0..5 {
            assert_eq!(ask(&format!("user{user}"), "203.0.113.3", 99).await, 202);
        }
        assert_eq!(ask("user5", "203.0.113.4", 99).await, 429, "the number");
        for user in 10..25 {
            assert_eq!(ask(&format!("user{user}"), "203.0.113.3", user).await, 202);
        }
        assert_eq!(ask("user25", "203.0.113.3", 25).await, 429, "the network");
        assert_eq!(ask("user25", "203.0.113.5", 25).await, 202);
    }

    async fn verification_emails_are_limited_by_account(shop: TestShop) {
        let shop = with_limits(&shop).await;
        let registered = shop.anonymous().post("/auth/register", super::ada()).await;
        assert_eq!(registered.status, 201);
        let ada = shop.customer("ada").await;
        let resend = async |peer: &str| {
            ada.clone().at(peer).post("/auth/verify-email/resend", Value::Null).await.status
        };
        for _ in 0..5 {
            assert_eq!(resend("203.0.113.1").await, 202);
        }
        assert_eq!(resend("203.0.113.1").await, 429);
        // Reset emails do not count towards this limit.
        for network in 1..=20 {
            forgot(&shop, &format!("198.51.100.{network}"), ADA).await;
        }
        assert_eq!(resend("203.0.113.2").await, 202);
    }

    async fn expired_counters_are_deleted(shop: TestShop) {
        let shop = Arc::new(with_limits(&shop).await);
        assert_eq!(log_in_at(&shop, "203.0.113.1", NOBODY, WRONG).await.status, 401);
        assert_eq!(shop.raw_db().dump()["login_tries"].len(), 2);
        shop.advance_clock(Duration::from_hours(1) + TICK);
        shop::worker::clean_up(&shop.app).await;
        assert_eq!(shop.raw_db().dump()["login_tries"].len(), 0);
    }
}

postgres_test! {
    async fn instances_with_different_clocks_share_the_counts(shop: TestShop) {
        let one = with_limits(&shop).await;
        let two = one.another_with(&[("rate_limit", "on")]).await;
        one.customer("ada").await;
        two.advance_clock(Duration::from_secs(20));
        let mut checked = 0;
        for number in 0..90 {
            let shop = if number % 2 == 0 { &one } else { &two };
            let answer = log_in_at(shop, &format!("203.0.113.{number}"), ADA, WRONG).await;
            checked += usize::from(answer.status == 401);
        }
        assert_eq!(checked, 60);
    }
}
