//! Reads single products.

use super::{
    product::Product,
    store,
    variant::{ProductWithVariants, VariantWithProduct},
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
    Ok(ProductWithVariants { product, variants })
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
