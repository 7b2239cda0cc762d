//! Soft delete of products.

use super::update::copy_images;
use crate::{
    core::{
        audit::{Action, Changes},
        error::Result,
        event::StockChange,
        id::ProductId,
    },
    domain::{
        catalog::{
            get::{product_for_update, with_variants},
            search, store,
        },
        media,
    },
    infra::db::Tx,
};

/// Soft-deletes a product: it disappears from the catalog and from carts; past orders keep their copy.
/// Errors: `not-found`.
pub fn delete(tx: &mut Tx<'_>, id: ProductId) -> Result<()> {
    let product = product_for_update(tx, id)?;
    let current = with_variants(tx, product)?;
    let product = &current.product;
    if !product.images.is_empty() {
        media::detach_all(tx, id)?;
        copy_images(tx, id)?;
    }
    store::delete(tx, id)?;
    search::remove(tx, id)?;
    store::add_to_category_count(tx, product.category_id, -1)?;
    tx.audit(Action::ProductDelete, Some(&id), || {
        Changes::between(Some(&current), None)
    })?;
    tx.emit_stock(&[StockChange::deleted(id)])
}
