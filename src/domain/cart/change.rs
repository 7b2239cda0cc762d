//! Changes and removes cart lines.

use uuid::Uuid;

use super::{
    Cart, CartOwner, Line,
    limits::{check_stock, check_total},
    prefetched_lines::prefetch_lines,
    store,
};
use crate::{
    core::{
        error::{Error, Result},
        id::{ProductId, VariantId},
        money::Quantity,
    },
    domain::catalog,
    infra::db::Tx,
};

/// Sets the quantity of a cart line. Only an increase is checked against stock and total, so that a cart
/// which exceeds a limit can always be reduced.
///
/// Errors: `not-found`, `variant-required`, `insufficient-stock`; a field error of `totalAmount`.
pub fn set_quantity(
    tx: &mut Tx<'_>,
    owner: CartOwner,
    id: Uuid,
    quantity: Quantity,
) -> Result<Cart> {
    let mut lines = prefetch_lines(tx, owner)?.result(tx)?;
    let at = find(&lines, id)?;
    let line = &mut lines[at];
    let (variant, is_increase) = (line.variant, quantity > line.quantity);
    line.quantity = quantity;
    if is_increase {
        check_stock(line)?;
        check_total(&lines)?;
    }
    store::upsert_line(tx, owner.cart(), variant, quantity)?;
    Cart::new(lines, tx.settings().currency)
}

/// Removes a cart line.
///
/// Errors: `not-found`, `variant-required`.
pub fn remove(tx: &mut Tx<'_>, owner: CartOwner, id: Uuid) -> Result<Cart> {
    let mut lines = prefetch_lines(tx, owner)?.result(tx)?;
    let line = lines.remove(find(&lines, id)?);
    store::delete_line(tx, owner.cart(), line.variant)?;
    Cart::new(lines, tx.settings().currency)
}

/// Empties the cart.
pub fn clear(tx: &mut Tx<'_>, owner: CartOwner) -> Result<()> {
    store::clear(tx, owner.cart())
}

/// Returns the index of the line with a variant's id, or with the id of a product of which there is one line.
///
/// Errors: `not-found`; `variant-required` if there are several lines of the product.
fn find(lines: &[Line], id: Uuid) -> Result<usize> {
    if let Some(at) = lines.iter().position(|line| line.variant == VariantId(id)) {
        return Ok(at);
    }
    let of_product = |line: &Line| line.product == ProductId(id);
    let at = lines
        .iter()
        .position(of_product)
        .ok_or_else(|| Error::not_found("product in the cart"))?;
    let same_product: Vec<&Line> = lines.iter().filter(|line| of_product(line)).collect();
    if same_product.len() == 1 {
        return Ok(at);
    }
    let variants = same_product.into_iter().map(|line| {
        let title = line.options.title();
        ((line.product, line.variant), title, line.stock)
    });
    Err(catalog::variant_required(variants))
}
