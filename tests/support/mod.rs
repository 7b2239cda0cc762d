//! Test support: a shop in process with a fixed clock, its clients, the real program as a server process, and fakes
//! of external services.

mod background;
mod bucket;
mod client;
mod cloudinary;
mod cluster;
pub(crate) mod document;
mod earlier;
pub(crate) mod event_stream;
mod forge;
mod form;
mod front;
pub(crate) mod generated;
pub(crate) mod images;
pub(crate) mod live;
mod moto;
mod mounts;
pub(crate) mod node;
mod postgres;
mod process;
pub(crate) mod provider;
pub(crate) mod proxy;
mod raw_db;
mod razorpay;
mod remote;
mod schemathesis;
mod shop;
pub(crate) mod shopping;
mod site;
mod smtp;
mod sqlmap;
mod store;
mod wire;

use std::{env, io::Write};

pub(crate) use self::{
    bucket::Bucket,
    client::{Client, TestResponse},
    cloudinary::{Cloudinary, CloudinaryBehavior, sign},
    cluster::Cluster,
    document::{Operation, operations},
    earlier::EarlierShop,
    forge::{claims_of, forge, forge_cursor},
    form::Form,
    moto::Moto,
    mounts::{SmallDisk, with_own_mounts},
    postgres::Database,
    process::{Process, ends, program_on, run, run_on, run_with_input, serve},
    raw_db::RawDb,
    razorpay::{Behavior, Razorpay},
    remote::Remote,
    schemathesis::{Prepared, Schemathesis},
    shop::{Engine, TestShop, options},
    site::{Site, add_product, create_shop, new_shop},
    smtp::{Certificate, SmtpServer},
    sqlmap::Sqlmap,
    store::{HeldWriter, PendingWrite, TestStore, as_one_batch, begin, context, pending_write},
    wire::{Wire, address},
};

/// Defines tests that run once for each storage engine. The argument is a new [`TestShop`], [`TestStore`],
/// [`Site`] or [`EarlierShop`] without data.
///
/// ```ignore
/// storage_test! {
///     async fn a_cart_survives_a_restart(shop: TestShop) { … }
/// }
/// ```
macro_rules! storage_test {
    ($($(#[$meta:meta])* async fn $name:ident($shop:ident: $fresh:ident) $body:block)+) => {$(
        async fn $name($shop: $crate::support::$fresh) $body

        mod $name {
            $(#[$meta])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                let engine = $crate::support::Engine::Sqlite;
                let fresh = $crate::support::$fresh::on(engine).await.unwrap();
                super::$name(fresh).await;
            }

            $(#[$meta])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                let engine = $crate::support::Engine::Postgres;
                if let Some(fresh) = $crate::support::$fresh::on(engine).await {
                    super::$name(fresh).await;
                }
            }
        }
    )+};
}

/// Like `storage_test!`, for `SQLite` only.
macro_rules! sqlite_test {
    ($($(#[$meta:meta])* async fn $name:ident($shop:ident: $fresh:ident) $body:block)+) => {$(
        $(#[$meta])*
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let engine = $crate::support::Engine::Sqlite;
            let $shop = $crate::support::$fresh::on(engine).await.unwrap();
            $body
        }
    )+};
}

/// Like `storage_test!`, for Postgres only.
macro_rules! postgres_test {
    ($($(#[$meta:meta])* async fn $name:ident($shop:ident: $fresh:ident) $body:block)+) => {$(
        $(#[$meta])*
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let engine = $crate::support::Engine::Postgres;
            if let Some($shop) = $crate::support::$fresh::on(engine).await {
                $body
            }
        }
    )+};
}

/// Like `insta::assert_json_snapshot!`, but both engines may compare the same snapshot.
macro_rules! snapshot {
    ($($arguments:tt)*) => {
        insta::allow_duplicates! { insta::assert_json_snapshot!($($arguments)*) }
    };
}

pub(crate) use {postgres_test, snapshot, sqlite_test, storage_test};

/// Runs blocking work on another thread than those of the test's runtime.
pub(crate) fn on_a_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| match scope.spawn(work).join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

/// Reports that a test is skipped. Fails it if `SHOP_TEST_REQUIRE_{what}=1`.
pub(crate) fn skip(what: &str, why: &str) {
    let required = env::var(format!("SHOP_TEST_REQUIRE_{what}"));
    assert!(required.as_deref() != Ok("1"), "{why}");
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    report(&format!("SKIPPED {test}, {why}"));
}

/// Writes a line directly to stderr, since the test harness captures `eprintln!`.
pub(crate) fn report(line: &str) {
    let line = format!("{line}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}
