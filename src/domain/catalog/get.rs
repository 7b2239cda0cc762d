//! Reads single products.

use super::{product::Product, store};
use crate::{
    core::{
        error::{Error, Result},
        id::ProductId,
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

/// Parses the `images` column of a product's row.
pub fn images(column: &str, settings: &ShopSettings) -> Result<Vec<Image>> {
    media::parse_images(column, &settings.public_url)
}
