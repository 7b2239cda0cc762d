//! What tests stand on: a shop in process with a clock that stands still, clients that speak to it,
//! and the real program on a real socket.

mod client;
mod cloudinary;
mod cluster;
mod document;
mod forge;
mod form;
mod front;
pub(crate) mod live;
mod moto;
pub(crate) mod pictures;
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
    client::{Answer, Client},
    cloudinary::{Cloudinary, Manner, sign},
    cluster::Cluster,
    document::{Operation, operations},
    forge::{claims_of, forge, forge_cursor},
    form::Form,
    moto::Moto,
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
    store::{HeldWriter, PendingWrite, TestStore, as_one_batch, begin, pending_write},
    wire::{Wire, address},
};

/// Tells a story once for each storage engine. The argument is a fresh [`TestShop`], or a
/// [`TestStore`] or a [`Site`] with nothing in it.
///
/// ```ignore
/// storage_test! {
///     async fn a_cart_is_kept(shop: TestShop) { … }
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

/// As `storage_test!`, for what only `SQLite`'s single writer does.
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

/// As `storage_test!`, for what only several programs on one database server do.
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

/// `insta`'s own, which an engine's story may meet after the other's has.
macro_rules! snapshot {
    ($($told:tt)*) => { insta::allow_duplicates! { insta::assert_json_snapshot!($($told)*) } };
}

pub(crate) use {postgres_test, snapshot, sqlite_test, storage_test};

/// Runs what must not run on a thread of the test's own runtime.
pub(crate) fn on_a_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| match scope.spawn(work).join() {
        Ok(answer) => answer,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

/// Says that a test does not run for want of something, or fails it if it must:
/// `SHOP_TEST_REQUIRE_{what}=1`.
pub(crate) fn skip(what: &str, why: &str) {
    let required = env::var(format!("SHOP_TEST_REQUIRE_{what}"));
    assert!(required.as_deref() != Ok("1"), "{why}");
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    // Past the test's own capture, so that it is read.
    let skipped = format!("SKIPPED {test}, {why}\n");
    std::io::stderr().write_all(skipped.as_bytes()).unwrap();
}
