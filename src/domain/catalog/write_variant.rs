//! Checks and inserts variants.

use super::{
    normalize::case_fold,
    options::SelectedValues,
    problems::{SKU_TAKEN, VARIANT_EXISTS},
    store::{self, VariantColumns},
    variant::{NewVariant, VariantCode, VariantPosition},
};
use crate::{
    core::{
        error::{Error, Result},
        id::{ImageId, ProductId, VariantId},
    },
    domain::media::Image,
    infra::db::Tx,
};

/// Inserts a variant and returns its id; without options, that is the product's, and price and stock are those of the
/// product. Stock movements, events and what the product keeps of its variants must follow.
///
/// Errors: `variant-exists`, `sku-taken`.
pub(super) fn insert(
    tx: &mut Tx<'_>,
    product: ProductId,
    new: &NewVariant,
    selected: &SelectedValues<'_>,
    position: VariantPosition,
) -> Result<VariantId> {
    let options_key = selected.key();
    let has_options = !options_key.is_empty();
    let id = if has_options {
        tx.id()
    } else {
        product.default_variant()
    };
    check_options(tx, product, id, &options_key)?;
    let sku = new.sku.as_ref().map(VariantCode::as_str);
    let sku_key = sku.map(|sku| unused_sku_key(tx, id, sku)).transpose()?;
    let columns = VariantColumns {
        sku,
        sku_key: sku_key.as_deref(),
        barcode: new.barcode.as_ref().map(VariantCode::as_str),
        compare_at_price: new.compare_at_price,
        weight: new.weight,
        requires_shipping: new.requires_shipping,
        image: new.image,
        position,
        options_key: &options_key,
        options: &selected.to_options().to_json()?,
    };
    let own = has_options.then_some((new.price, new.stock));
    store::insert_variant(tx, id, product, &columns, own)?;
    Ok(id)
}

/// Errors: `variant-exists` if another variant of the product selects the same values.
pub(super) fn check_options(
    tx: &mut Tx<'_>,
    product: ProductId,
    variant: VariantId,
    options_key: &str,
) -> Result<()> {
    match store::variant_by_options_key(tx, product, options_key)? {
        Some(other) if other != variant => {
            let detail = format!("variant {other} of the product has these options");
            Err(VARIANT_EXISTS.error(detail))
        }
        _ => Ok(()),
    }
}

/// Returns the normalized SKU of a variant. Errors: `sku-taken` if another variant has it.
pub(super) fn unused_sku_key(tx: &mut Tx<'_>, variant: VariantId, sku: &str) -> Result<String> {
    let key = case_fold(sku);
    match store::variant_by_sku_key(tx, &key)? {
        Some(other) if other != variant => {
            let why = format!("variant {other} has the SKU `{sku}`; case and width do not matter");
            Err(SKU_TAKEN.error(why))
        }
        _ => Ok(key),
    }
}

/// Errors: a field error of `imageId` if it is not among the images of the product.
pub(super) fn check_image(images: &[Image], image: ImageId) -> Result<()> {
    if images.iter().any(|own| own.id == image) {
        return Ok(());
    }
    let message = "is not an image of the product; add it to the product first";
    Err(Error::field("imageId", "unknown-image", message))
}
