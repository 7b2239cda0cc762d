//! What tests stand on: a shop in process with a clock that stands still, clients that speak to it,
//! and the real program on a real socket.

mod behind;
mod client;
mod document;
mod forger;
mod form;
pub(crate) mod live;
pub(crate) mod pictures;
mod process;
pub(crate) mod provider;
mod remote;
mod shop;
pub(crate) mod shopping;
mod store;

pub(crate) use self::{
    behind::Behind,
    client::{Answer, Client},
    document::{Operation, operations},
    forger::{claims_of, forge},
    form::Form,
    process::{Process, run, run_with_input},
    remote::Remote,
    shop::{Engine, TestShop},
    store::{HeldWriter, Job, TestStore, as_one_group, begin, job},
};

/// Tells a story once for each storage engine. The argument is a fresh [`TestShop`], or a
/// [`TestStore`] with nothing in it.
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
                let fresh = $crate::support::$fresh::on($crate::support::Engine::Sqlite).await;
                super::$name(fresh).await;
            }
        }
    )+};
}

pub(crate) use storage_test;
