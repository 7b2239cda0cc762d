//! The kept values in the row of a product with options: the lowest and the highest price of its variants, the sum of their
//! stocks and their number. Callers must hold the lock of the product.

use super::{change_stock, get::product, product::Product, search, store, variant::Variant};
use crate::{
    core::{
        error::Result,
        id::ProductId,
        money::{Price, Stock},
    },
    infra::db::Tx,
};

/// Computes the kept values after variants have changed, and indexes the product again.
pub(super) fn update(tx: &mut Tx<'_>, id: ProductId) -> Result<Product<'static>> {
    store::set_kept_values(tx, &[id])?;
    let product = product(tx, id)?;
    search::index_product(tx, &product)?;
    Ok(product)
}

/// Sets price and stock of a variant with options. `None` keeps the value.
pub(super) fn set_price_and_stock(
    tx: &mut Tx<'_>,
    variant: &Variant,
    price: Option<Price>,
    stock: Option<Stock>,
) -> Result<()> {
    if let Some(price) = price.filter(|price| *price != variant.price) {
        store::set_variant_price(tx, variant.id, price)?;
        update(tx, variant.product_id)?;
    }
    if let Some(stock) = stock {
        change_stock::set_stock(tx, variant, stock)?;
    }
    Ok(())
}
