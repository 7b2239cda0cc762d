//! Updates variants.

use super::{
    get::{product, product_for_update, variant},
    manage_products::update as update_product,
    normalize::sku_key,
    problems::SKU_TAKEN,
    product::Changes,
    search,
    store::{self, VariantColumns},
    variant::{VariantChanges, VariantCode, VariantWithProduct},
};
use crate::{
    core::{
        audit::{Action, Changes as Audited},
        error::{Error, Result},
        id::{ImageId, VariantId},
    },
    infra::db::Tx,
};

/// Updates a variant. `current` is the result of [`super::variant_for_update`]; the caller has checked `If-Match`.
/// Price and stock of the only variant of a product without options are those of the product.
///
/// Errors: `sku-taken`; `validation-failed` with `unknown-image`.
pub fn update_variant(
    tx: &mut Tx<'_>,
    current: &VariantWithProduct,
    changes: &VariantChanges,
) -> Result<VariantWithProduct> {
    if changes.price.is_none() && changes.stock.is_none() {
        return update_columns(tx, current, changes);
    }
    let product = product_for_update(tx, current.product.id)?;
    let product_changes = Changes {
        price: changes.price,
        stock: changes.stock,
        ..Changes::default()
    };
    update_product(tx, &product, &product_changes, &[])?;
    let current = variant(tx, current.variant.id)?;
    update_columns(tx, &current, changes)
}

/// Updates what a variant has of its own.
fn update_columns(
    tx: &mut Tx<'_>,
    current: &VariantWithProduct,
    changes: &VariantChanges,
) -> Result<VariantWithProduct> {
    let before = &current.variant;
    let sku = match &changes.sku {
        Some(sku) => sku.as_ref().map(VariantCode::as_str),
        None => before.sku.as_deref(),
    };
    let barcode = match &changes.barcode {
        Some(barcode) => barcode.as_ref().map(VariantCode::as_str),
        None => before.barcode.as_deref(),
    };
    let key = sku.map(sku_key);
    if let Some(key) = &key {
        check_sku(tx, before.id, key)?;
    }
    if let Some(Some(image)) = changes.image {
        check_image(current, image)?;
    }
    let columns = VariantColumns {
        sku,
        sku_key: key.as_deref(),
        barcode,
        compare_at_price: changes.compare_at_price.unwrap_or(before.compare_at_price),
        weight: changes.weight.unwrap_or(before.weight_grams),
        requires_shipping: changes
            .requires_shipping
            .unwrap_or(before.requires_shipping),
        image: changes.image.unwrap_or(before.image_id),
    };
    store::update_variant(tx, before, &columns)?;
    if sku != before.sku.as_deref() {
        let product = product(tx, before.product_id)?;
        search::index_product(tx, &product)?;
    }
    let updated = variant(tx, before.id)?;
    tx.audit(Action::VariantUpdate, Some(&before.id), || {
        Audited::between(Some(before), Some(&updated.variant))
    })?;
    Ok(updated)
}

/// Errors: `sku-taken` if another variant has the SKU.
fn check_sku(tx: &mut Tx<'_>, variant: VariantId, key: &str) -> Result<()> {
    match store::variant_by_sku_key(tx, key)? {
        Some(other) if other != variant => {
            let detail = format!("variant {other} has this SKU; case and width do not matter");
            Err(SKU_TAKEN.error(detail))
        }
        _ => Ok(()),
    }
}

fn check_image(current: &VariantWithProduct, image: ImageId) -> Result<()> {
    if current.product.images.iter().any(|own| own.id == image) {
        return Ok(());
    }
    let message = "is not an image of the product; add it to the product first";
    Err(Error::field("imageId", "unknown-image", message))
}

/// Normalizes all SKUs again, after an upgrade. One that another variant has by now keeps its key; `shop verify` reports
/// it.
pub(super) fn recompute_sku_keys(tx: &mut Tx<'_>) -> Result<()> {
    let mut outdated = Vec::new();
    store::each_sku(tx, |id, sku, stored| {
        let key = sku_key(sku);
        if key != stored {
            outdated.push((id, key));
        }
    })?;
    for (id, key) in outdated {
        if store::variant_by_sku_key(tx, &key)?.is_none() {
            store::set_sku_key(tx, id, &key)?;
        }
    }
    Ok(())
}
