//! Adds products to a cart.

use super::{
    Cart, Line, PrefetchedLines,
    limits::{MAX_LINES, check_stock, check_total},
    line::oldest_first,
    prefetched_lines::prefetch_lines,
    store,
};
use crate::{
    core::{
        error::{Error, Result},
        id::{ProductId, UserId},
        money::Quantity,
    },
    domain::{accounts::CurrentUser, catalog},
    infra::db::{Prefetched, Tx},
};

/// A product to add to a cart, and what is read ahead to add it.
pub struct Addition {
    product: ProductId,
    quantity: Quantity,
    product_row: Prefetched<Option<store::ProductRow>>,
    lines: PrefetchedLines,
}

impl Addition {
    /// Prefetches the product and the cart. Call it after the query that locks the user's row.
    pub fn prefetch(
        tx: &mut Tx<'_>,
        user: UserId,
        product: ProductId,
        quantity: Quantity,
    ) -> Result<Addition> {
        Ok(Addition {
            product,
            quantity,
            product_row: store::prefetch_product(tx, product)?,
            lines: prefetch_lines(tx, user)?,
        })
    }
}

/// Adds to a product's quantity in the cart.
///
/// Errors: `not-found`; a field error of `quantity`, `productId` or `totalAmount`; `insufficient-stock`.
pub fn add(tx: &mut Tx<'_>, user: CurrentUser, addition: Addition) -> Result<Cart> {
    let (product, quantity) = (addition.product, addition.quantity);
    let mut lines = addition.lines.result(tx)?;
    if let Some(line) = lines.iter_mut().find(|line| line.product == product) {
        let sum = Quantity::try_from(line.quantity.get() + quantity.get())
            .map_err(|e| Error::field("quantity", "out-of-range", format!("the sum {e}")))?;
        line.quantity = sum;
        check_stock(line)?;
        check_total(&lines)?;
        store::upsert_line(tx, user.id, product, sum)?;
        return Cart::new(lines, tx.settings().currency);
    }
    if lines.len() >= MAX_LINES {
        let message = format!("a cart holds at most {MAX_LINES} products");
        return Err(Error::field("productId", "too-many-lines", message));
    }
    let product_row = tx
        .result(addition.product_row)?
        .ok_or_else(|| Error::not_found("product"))?;
    let line = Line {
        product,
        name: product_row.name,
        price: product_row.price,
        stock: product_row.stock,
        quantity,
        images: catalog::images(&product_row.images, tx.settings())?,
        added_at: tx.now(),
    };
    check_stock(&line)?;
    lines.push(line);
    check_total(&lines)?;
    store::upsert_line(tx, user.id, product, quantity)?;
    // Sorted, since other lines may have the same timestamp.
    Cart::new(oldest_first(lines), tx.settings().currency)
}
