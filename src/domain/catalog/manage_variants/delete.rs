//! Soft delete of variants.

use crate::{
    core::{
        audit::{Action, Changes},
        error::Result,
        event::{StockChange, VariantStock},
    },
    domain::catalog::{kept_values, problems::LAST_VARIANT, store, variant::VariantWithProduct},
    infra::db::Tx,
};

/// Soft-deletes a variant: it disappears from its product and from carts; past orders keep their copy. `current` is the
/// result of [`crate::domain::catalog::variant_for_update`].
///
/// Errors: `last-variant`.
pub fn delete_variant(tx: &mut Tx<'_>, current: &VariantWithProduct) -> Result<()> {
    let variant = &current.variant;
    if store::variants_of(tx, variant.product_id)?.len() == 1 {
        return Err(LAST_VARIANT.error("the product has no other variant"));
    }
    store::delete_variant(tx, variant)?;
    let product = kept_values::update(tx, variant.product_id)?;
    let own = VariantStock::deleted(variant.id);
    let change = StockChange::of_variant(product.id, product.stock_quantity, own);
    tx.emit_stock(&[change])?;
    tx.audit(Action::VariantDelete, Some(&variant.id), || {
        Changes::between(Some(variant), None)
    })
}
