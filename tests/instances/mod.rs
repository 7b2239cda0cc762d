//! Several instances on one Postgres database behave as one shop.

mod identity;
mod listeners;
mod load;
mod program;
mod publisher;
mod timers;

use crate::support::{Client, TestShop};

impl Client<'_> {
    /// Returns the same user's client of another instance.
    fn on<'a>(&self, shop: &'a TestShop) -> Client<'a> {
        shop.bearer(self.token.as_deref().unwrap())
    }
}
