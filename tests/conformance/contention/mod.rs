//! Many at once: nothing is sold twice, nothing is lost, and nobody is told of the crowd.
//!
//! One person's requests take turns, since each holds that person's account. So whoever is to meet
//! others here is somebody else than they.

/// As `storage_test!`, in a shop where no deadlock is solved by trying again: two who wait for each
/// other are answered 503 in the end, and so found out.
macro_rules! contention_test {
    ($(async fn $name:ident($shop:ident: TestShop) $body:block)+) => {
        $crate::support::storage_test! {$(
            async fn $name(shop: TestShop) {
                let $shop = $crate::conformance::contention::unforgiving(shop).await;
                $body
            }
        )+}
    };
}

mod catalog;
mod mixed_load;
mod orders;
mod people;

use std::collections::BTreeMap;

use futures_util::future::join_all;
use shop::domain::accounts::Role;

use crate::support::{Answer, Client, RawDb, TestShop};

/// The same shop on a database that notices no deadlock before the shop's own patience ends.
async fn unforgiving(shop: TestShop) -> TestShop {
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

/// So many people, each with an account of their own.
async fn several<'a>(shop: &'a TestShop, what: &str, count: usize, role: Role) -> Vec<Client<'a>> {
    let names: Vec<_> = (0..count).map(|number| format!("{what}{number}")).collect();
    join_all(names.iter().map(|name| shop.sign_in(name, role))).await
}

/// How often each status was answered, and with which code.
#[track_caller]
fn tally<'a>(answers: impl IntoIterator<Item = &'a Answer>) -> BTreeMap<(u16, String), usize> {
    let mut told = BTreeMap::new();
    for answer in answers {
        let code = if answer.status < 400 {
            String::new()
        } else {
            answer.code()
        };
        assert!(answer.status < 500, "{answer:?}");
        *told.entry((answer.status, code)).or_default() += 1;
    }
    told
}

/// Fails the test unless `first` was answered with its status so often, and all else with the code
/// of `rest`.
#[track_caller]
fn one_wins(answers: &[Answer], won: u16, lost: (u16, &str)) {
    let others = answers.len() - 1;
    let expected = [
        ((won, String::new()), 1),
        ((lost.0, lost.1.to_owned()), others),
    ];
    assert_eq!(tally(answers), BTreeMap::from(expected));
}
