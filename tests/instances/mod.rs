//! Several instances on one Postgres: what one is told, all know.

mod identity;
mod listeners;
mod load;
mod program;
mod publisher;
mod timers;

use crate::support::{Client, TestShop};

impl Client<'_> {
    /// The same somebody at another instance.
    fn on<'a>(&self, shop: &'a TestShop) -> Client<'a> {
        shop.bearer(self.token.as_deref().unwrap())
    }
}
