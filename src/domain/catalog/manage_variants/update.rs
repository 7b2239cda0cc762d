//! Updates variants.

use crate::{
    core::{
        audit::{Action, Changes as Audited},
        error::{Error, Result},
    },
    domain::catalog::{
        get::{product, product_for_update, variant},
        kept_values,
        manage_products::update as update_product,
        normalize::case_fold,
        product::Changes,
        search,
        store::{self, VariantColumns},
        variant::{VariantChanges, VariantCode, VariantWithProduct},
        write_variant::{check_image, check_options, unused_sku_key},
    },
    infra::db::Tx,
};

/// Updates a variant. `current` is the result of [`crate::domain::catalog::variant_for_update`]; the caller has checked
/// `If-Match`.
///
/// Errors: `sku-taken`, `variant-exists`; a field error of `options` or `imageId`.
pub fn update_variant(
    tx: &mut Tx<'_>,
    current: &VariantWithProduct,
    changes: &VariantChanges,
) -> Result<VariantWithProduct> {
    if changes.price.is_none() && changes.stock.is_none() {
        return update_columns(tx, current, changes);
    }
    if !current.variant.options.is_empty() {
        kept_values::set_price_and_stock(tx, &current.variant, changes.price, changes.stock)?;
        return update_columns(tx, current, changes);
    }
    // Without options, price and stock are those of the product.
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

/// Updates everything except price and stock.
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
    let key = sku
        .map(|sku| unused_sku_key(tx, before.id, sku))
        .transpose()?;
    if let Some(Some(image)) = changes.image {
        check_image(&current.product.images, image)?;
    }
    let options = store::options_of(tx, before.product_id)?;
    let selected = match &changes.options {
        Some(selection) => options
            .select(selection, "options")
            .map_err(Error::invalid)?,
        None => options.of_variant(before.id, &before.options)?,
    };
    let options_key = selected.key();
    check_options(tx, before.product_id, before.id, &options_key)?;
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
        position: changes.position.unwrap_or(before.position),
        options_key: &options_key,
        options: &selected.to_options().to_json()?,
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

/// Normalizes all SKUs again, after an upgrade. One that another variant has by now keeps its key; `shop verify` reports
/// it.
pub(in crate::domain::catalog) fn recompute_sku_keys(tx: &mut Tx<'_>) -> Result<()> {
    let mut outdated = Vec::new();
    store::each_sku(tx, |id, sku, stored| {
        let key = case_fold(sku);
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
