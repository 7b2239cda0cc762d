//! Reads single products.

use super::{
    options::ProductOptions,
    product::Product,
    stock::variant_required,
    store,
    variant::{ProductWithVariants, Variant, VariantWithProduct},
};
use crate::{
    core::{
        error::{Error, Result},
        id::{ProductId, VariantId},
        shop_settings::ShopSettings,
    },
    domain::media::{self, Image},
    infra::db::Tx,
};

/// Returns a product. Errors: `not-found`, also after it was deleted.
pub fn product(tx: &mut Tx<'_>, id: ProductId) -> Result<Product<'static>> {
    store::by_id(tx, id)?.ok_or_else(|| Error::not_found("product"))
}

/// Like [`product`], and locks its row until the transaction ends.
pub fn product_for_update(tx: &mut Tx<'_>, id: ProductId) -> Result<Product<'static>> {
    store::lock_product(tx, id)?;
    product(tx, id)
}

/// Returns a product with its variants.
pub fn with_variants(tx: &mut Tx<'_>, product: Product<'static>) -> Result<ProductWithVariants> {
    let variants = store::variants_of(tx, product.id)?;
    // A product without options has one variant, without values.
    let has_options = variants.iter().any(|variant| !variant.options.is_empty());
    let options = if has_options {
        store::options_of(tx, product.id)?
    } else {
        ProductOptions::default()
    };
    let collection_ids = store::collections_of_product(tx, product.id)?;
    Ok(ProductWithVariants {
        product,
        options,
        variants,
        collection_ids,
    })
}

/// Returns the only variant of a product. Errors: `not-found`; `variant-required` if there are several.
pub(super) fn only_variant(tx: &mut Tx<'_>, product: ProductId) -> Result<Variant> {
    let mut variants = store::variants_of(tx, product)?;
    if variants.len() > 1 {
        return Err(variant_required(variants.into_iter().map(|variant| {
            let id = (variant.product_id, variant.id);
            (id, variant.title, variant.stock_quantity)
        })));
    }
    variants.pop().ok_or_else(|| Error::not_found("variant"))
}

/// Returns a variant with its product. Errors: `not-found`, also after it was deleted.
pub fn variant(tx: &mut Tx<'_>, id: VariantId) -> Result<VariantWithProduct> {
    store::variant_by_id(tx, id)?.ok_or_else(|| Error::not_found("variant"))
}

/// Like [`variant`], and locks the product until the transaction ends.
pub fn variant_for_update(tx: &mut Tx<'_>, id: VariantId) -> Result<VariantWithProduct> {
    let product = variant(tx, id)?.product.id;
    store::lock_product(tx, product)?;
    variant(tx, id)
}

/// Parses the `images` column of a product's row.
pub fn images(column: &str, settings: &ShopSettings) -> Result<Vec<Image>> {
    media::parse_images(column, &settings.public_url)
}
