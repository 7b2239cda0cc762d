//! Changes and removes cart lines.

use super::{
    Cart,
    limits::{check_stock, check_total},
    prefetched_lines::prefetch_lines,
    show::show,
    store,
};
use crate::{
    core::{
        error::{Error, Result},
        id::{ProductId, UserId},
        money::Quantity,
    },
    domain::accounts::CurrentUser,
    infra::db::Tx,
};

/// Sets a product's quantity in the cart. Only an increase is checked against stock and total, so that a cart
/// which exceeds a limit can always be reduced.
///
/// Errors: `not-found`, `insufficient-stock`; a field error of `totalAmount`.
pub fn set_quantity(
    tx: &mut Tx<'_>,
    user: CurrentUser,
    product: ProductId,
    quantity: Quantity,
) -> Result<Cart> {
    let mut lines = prefetch_lines(tx, user.id)?.result(tx)?;
    let line = lines
        .iter_mut()
        .find(|line| line.product == product)
        .ok_or_else(|| Error::not_found("product in the cart"))?;
    let is_increase = quantity > line.quantity;
    line.quantity = quantity;
    if is_increase {
        check_stock(line)?;
        check_total(&lines)?;
    }
    store::upsert_line(tx, user.id, product, quantity)?;
    Cart::new(lines, tx.settings().currency)
}

/// Removes a product from the cart.
///
/// Errors: `not-found`.
pub fn remove(tx: &mut Tx<'_>, user: CurrentUser, product: ProductId) -> Result<Cart> {
    if !store::delete(tx, user.id, product)? {
        return Err(Error::not_found("product in the cart"));
    }
    show(tx, user)
}

/// Empties the cart.
pub fn clear(tx: &mut Tx<'_>, user: UserId) -> Result<()> {
    store::clear(tx, user)
}
