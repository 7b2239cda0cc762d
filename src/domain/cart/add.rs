//! Adds products to a cart.

use super::{
    Cart,
    limits::{MAX_LINES, check_stock, check_total},
    line::oldest_first,
    show::lines,
    store,
};
use crate::{
    app::App,
    core::{
        error::{Error, Result},
        id::ProductId,
        money::Quantity,
    },
    domain::accounts::CurrentUser,
    infra::{db::Tx, web::token::Claims},
};

/// Adds to a product's quantity in a single statement (Postgres only), for the user in the claims. Returns
/// `None` where that does not apply; the caller then runs [`add`].
pub fn add_at_once(
    tx: &mut Tx<'_>,
    app: &App,
    claims: &Claims,
    product: ProductId,
    quantity: Quantity,
) -> Result<Option<Cart>> {
    let lines = store::add_at_once(tx, app, claims, product, quantity)?;
    lines
        .map(|lines| Cart::new(app, oldest_first(lines)))
        .transpose()
}

/// Adds to a product's quantity in the cart.
///
/// Errors: `not-found`; a field error of `quantity`, `productId` or `totalAmount`; `insufficient-stock`.
pub fn add(
    tx: &mut Tx<'_>,
    app: &App,
    user: CurrentUser,
    product: ProductId,
    quantity: Quantity,
) -> Result<Cart> {
    let mut lines = lines(tx, app, user.user)?;
    if let Some(line) = lines.iter_mut().find(|line| line.product == product) {
        let sum = Quantity::try_from(line.quantity.get() + quantity.get())
            .map_err(|e| Error::field("quantity", "out-of-range", format!("the sum {e}")))?;
        line.quantity = sum;
        check_stock(line)?;
        check_total(&lines)?;
        store::put(tx, user.user, product, sum)?;
        return Cart::new(app, lines);
    }
    if lines.len() >= MAX_LINES {
        let message = format!("a cart holds at most {MAX_LINES} products");
        return Err(Error::field("productId", "too-many-lines", message));
    }
    let line =
        store::new_line(tx, app, product, quantity)?.ok_or_else(|| Error::not_found("product"))?;
    check_stock(&line)?;
    lines.push(line);
    check_total(&lines)?;
    store::put(tx, user.user, product, quantity)?;
    // Sorted, since other lines may have the same timestamp.
    Cart::new(app, oldest_first(lines))
}
