//! Contention: concurrent requests neither oversell nor lose updates, and no client gets a 5xx status.
//!
//! Requests of one user are serialised, because each locks the user's row. So most tests use several users.

/// Like `storage_test!`, but Postgres does not detect deadlocks. A deadlock then ends with a 503 status, which
/// fails the test, instead of a retry.
macro_rules! contention_test {
    ($(async fn $name:ident($shop:ident: TestShop) $body:block)+) => {
        $crate::support::storage_test! {$(
            async fn $name(shop: TestShop) {
                let $shop = $crate::conformance::contention::without_deadlock_detection(shop).await;
                $body
            }
        )+}
    };
}

mod accounts;
mod catalog;
mod mixed_load;
mod orders;
mod variants;

use std::collections::BTreeMap;

use futures_util::future::join_all;
use shop::domain::accounts::Role;

use crate::support::{Client, RawDb, TestResponse, TestShop};

/// Restarts the shop on a database whose deadlock timeout is longer than the shop's own timeouts.
async fn without_deadlock_detection(shop: TestShop) -> TestShop {
    let raw = shop.raw_db();
    if let RawDb::Postgres(_) = raw {
        raw.run(
            "DO $$ BEGIN
                 EXECUTE format('ALTER DATABASE %I SET deadlock_timeout = %L',
                                current_database(), '10min');
             END $$",
        );
    }
    drop(raw);
    shop.restarted().await
}

/// Creates `count` users named `prefix0`, `prefix1`, …, and signs them in.
async fn sign_in_many<'a>(
    shop: &'a TestShop,
    prefix: &str,
    count: usize,
    role: Role,
) -> Vec<Client<'a>> {
    let names: Vec<_> = (0..count)
        .map(|number| format!("{prefix}{number}"))
        .collect();
    join_all(names.iter().map(|name| shop.sign_in(name, role))).await
}

/// Counts the responses by status and problem code. Fails the test on a 5xx status.
#[track_caller]
fn count_responses<'a>(
    answers: impl IntoIterator<Item = &'a TestResponse>,
) -> BTreeMap<(u16, String), usize> {
    let mut counts = BTreeMap::new();
    for answer in answers {
        let code = if answer.status < 400 {
            String::new()
        } else {
            answer.code()
        };
        assert!(answer.status < 500, "{answer:?}");
        *counts.entry((answer.status, code)).or_default() += 1;
    }
    counts
}

/// Fails the test unless exactly one response has the status `success`, and all others the problem `failure`.
#[track_caller]
fn assert_one_succeeds(answers: &[TestResponse], success: u16, failure: (u16, &str)) {
    let others = answers.len() - 1;
    let expected = [
        ((success, String::new()), 1),
        ((failure.0, failure.1.to_owned()), others),
    ];
    assert_eq!(count_responses(answers), BTreeMap::from(expected));
}
