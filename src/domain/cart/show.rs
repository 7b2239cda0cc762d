//! Reads carts.

use super::{Cart, prefetched_lines::prefetch_lines};
use crate::{core::error::Result, domain::accounts::CurrentUser, infra::db::Tx};

/// Returns the user's cart.
pub fn show(tx: &mut Tx<'_>, user: CurrentUser) -> Result<Cart> {
    let lines = prefetch_lines(tx, user.id)?.result(tx)?;
    Cart::new(lines, tx.settings().currency)
}
