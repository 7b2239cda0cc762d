//! Reads carts.

use super::{Cart, CartOwner, prefetched_lines::prefetch_lines};
use crate::{core::error::Result, infra::db::Tx};

/// Returns a cart.
pub fn show(tx: &mut Tx<'_>, owner: CartOwner) -> Result<Cart> {
    let lines = prefetch_lines(tx, owner)?.result(tx)?;
    Cart::new(lines, tx.settings().currency)
}
