//! Creates variants.

use crate::{
    core::{
        audit::{Action, Changes},
        error::{Error, Result},
        event::{StockChange, VariantStock},
        id::ProductId,
    },
    domain::catalog::{
        get::{product_for_update, variant, with_variants},
        kept_values,
        problems::VARIANT_EXISTS,
        stock::{Cause, Movement},
        store,
        variant::{MAX_VARIANTS, NewVariant, Variant, VariantPosition, VariantWithProduct},
        write_variant::{self, check_image},
    },
    infra::db::Tx,
};

/// Creates a variant of a product with options.
///
/// Errors: `not-found`; `variant-exists`; `sku-taken`; a field error of `options` or `imageId`.
pub fn create_variant(
    tx: &mut Tx<'_>,
    product: ProductId,
    new: &NewVariant,
) -> Result<VariantWithProduct> {
    let current = product_for_update(tx, product)?;
    let current = with_variants(tx, current)?;
    if current.variants.len() >= MAX_VARIANTS {
        let message = format!("a product has at most {MAX_VARIANTS} variants");
        return Err(Error::field("options", "too-many", message));
    }
    let selected = current.options.select(&new.options, "options");
    let selected = selected.map_err(Error::invalid)?;
    if current.options.is_empty() {
        let detail = "the product has no options and one variant; set its options first";
        return Err(VARIANT_EXISTS.error(detail));
    }
    if let Some(image) = new.image {
        check_image(&current.product.images, image)?;
    }
    let position = new.position.unwrap_or_else(|| after(&current.variants));
    let id = write_variant::insert(tx, product, new, &selected, position)?;
    let stock = new.stock.get();
    let movement = Movement::of_variant(Cause::Create, product, id, stock);
    store::insert_movements(tx, &[movement])?;
    let product = kept_values::update(tx, product)?;
    let own = VariantStock::now(id, stock);
    let change = StockChange::of_variant(product.id, product.stock_quantity, own);
    tx.emit_stock(&[change])?;
    let created = variant(tx, id)?;
    tx.audit(Action::VariantCreate, Some(&id), || {
        Changes::between(None, Some(&created.variant))
    })?;
    Ok(created)
}

/// Returns the position after these variants.
fn after(variants: &[Variant]) -> VariantPosition {
    let last = variants.iter().map(|variant| variant.position).max();
    let next = last.and_then(|last| VariantPosition::try_from(last.get() + 1).ok());
    next.or(last).unwrap_or(VariantPosition::FIRST)
}
