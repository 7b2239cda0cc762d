//! What tests stand on: a shop in process with a clock that stands still, clients that speak to it,
//! and the real program on a real socket.

mod client;
mod process;
mod shop;

pub(crate) use self::{
    client::{Answer, Client},
    process::{Process, run, run_with_input},
    shop::{Engine, TestShop},
};

/// Tells a story once for each storage engine. The argument is a fresh [`TestShop`].
///
/// ```ignore
/// storage_test! {
///     async fn a_cart_is_kept(shop: TestShop) { … }
/// }
/// ```
macro_rules! storage_test {
    ($($(#[$meta:meta])* async fn $name:ident($shop:ident: TestShop) $body:block)+) => {$(
        mod $name {
            #[allow(unused_imports, reason = "not every story needs all of its file's imports")]
            use super::*;

            async fn story($shop: $crate::support::TestShop) $body

            $(#[$meta])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                story($crate::support::TestShop::on($crate::support::Engine::Sqlite).await).await;
            }
        }
    )+};
}

pub(crate) use storage_test;
