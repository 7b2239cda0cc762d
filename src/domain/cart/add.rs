//! Adds variants to a cart.

use super::{
    Cart, CartOwner, Line, PrefetchedLines,
    limits::{MAX_LINES, check_stock, check_total},
    line::oldest_first,
    prefetched_lines::prefetch_lines,
    store::{self, VariantRow},
};
use crate::{
    core::{
        error::{Error, Result},
        id::{ProductId, VariantId},
        money::Quantity,
    },
    domain::catalog::{self, VariantOptions},
    infra::db::{Prefetched, Tx},
};

/// What a client wants to buy.
#[derive(Debug, Clone, Copy)]
pub enum Selection {
    Variant(VariantId),
    /// The only variant of a product.
    Product(ProductId),
}

impl Selection {
    /// The field of the request.
    fn field(self) -> &'static str {
        match self {
            Selection::Variant(_) => "variantId",
            Selection::Product(_) => "productId",
        }
    }
}

/// A variant to add to a cart, and what is read ahead to add it.
pub struct Addition {
    selection: Selection,
    quantity: Quantity,
    variants: Prefetched<Vec<VariantRow>>,
    lines: PrefetchedLines,
}

impl Addition {
    /// Prefetches the variant and the cart. Call it after the query that locks the row of the account or the guest's cart.
    pub fn prefetch(
        tx: &mut Tx<'_>,
        owner: CartOwner,
        selection: Selection,
        quantity: Quantity,
    ) -> Result<Addition> {
        let variants = match selection {
            Selection::Variant(variant) => store::prefetch_variant(tx, variant)?,
            Selection::Product(product) => store::prefetch_variants_of(tx, product)?,
        };
        Ok(Addition {
            selection,
            quantity,
            variants,
            lines: prefetch_lines(tx, owner)?,
        })
    }
}

/// Adds to a variant's quantity in the cart.
///
/// Errors: `not-found`; a field error of `quantity`, `variantId`, `productId` or `totalAmount`; `insufficient-stock`;
/// `variant-required`.
pub fn add(tx: &mut Tx<'_>, owner: CartOwner, addition: Addition) -> Result<Cart> {
    let (selection, quantity) = (addition.selection, addition.quantity);
    let variants = tx.result(addition.variants)?;
    let mut lines = addition.lines.result(tx)?;
    let variant = only_variant(variants)?;
    if let Some(line) = lines.iter_mut().find(|line| line.variant == variant.id) {
        let sum = Quantity::try_from(line.quantity.get() + quantity.get())
            .map_err(|e| Error::field("quantity", "out-of-range", format!("the sum {e}")))?;
        line.quantity = sum;
        check_stock(line)?;
        check_total(&lines)?;
        store::upsert_line(tx, owner.cart(), variant.id, sum)?;
        return Cart::new(lines, tx.settings().currency);
    }
    if lines.len() >= MAX_LINES {
        let message = format!("a cart holds at most {MAX_LINES} products");
        return Err(Error::field(selection.field(), "too-many-lines", message));
    }
    let line = Line::new(variant, quantity, tx.now(), tx.settings())?;
    check_stock(&line)?;
    let (variant, is_first) = (line.variant, lines.is_empty());
    lines.push(line);
    check_total(&lines)?;
    if let (CartOwner::Account(user), true) = (owner, is_first) {
        store::insert_cart(tx, user)?;
    }
    store::upsert_line(tx, owner.cart(), variant, quantity)?;
    // Sorted, since other lines may have the same timestamp.
    Cart::new(oldest_first(lines), tx.settings().currency)
}

/// Errors: `not-found`; `variant-required` if there are several.
fn only_variant(mut variants: Vec<VariantRow>) -> Result<VariantRow> {
    if variants.len() > 1 {
        let mut choices = Vec::with_capacity(variants.len());
        for variant in variants {
            let title = VariantOptions::from_json(&variant.options)?.title();
            choices.push(((variant.product, variant.id), title, variant.stock));
        }
        return Err(catalog::variant_required(choices.into_iter()));
    }
    variants.pop().ok_or_else(|| Error::not_found("product"))
}
