//! A cart line, with the variant's current data.

use super::store;
use crate::{
    core::{
        clock::Timestamp,
        error::Result,
        id::{ProductId, VariantId},
        money::{Money, Price, Quantity},
        shop_settings::ShopSettings,
    },
    domain::catalog::{self, Image, Shortage, VariantOptions},
};

/// A cart line with the variant's current data.
#[derive(Debug, Clone)]
pub struct Line {
    pub variant: VariantId,
    pub product: ProductId,
    pub sku: Option<String>,
    pub options: VariantOptions,
    /// The name of the product.
    pub name: String,
    pub price: Price,
    pub stock: i64,
    /// The stock of all variants of the product.
    pub product_stock: i64,
    pub quantity: Quantity,
    pub images: Vec<Image>,
    pub added_at: Timestamp,
}

impl Line {
    pub(super) fn new(
        variant: store::VariantRow,
        quantity: Quantity,
        added_at: Timestamp,
        settings: &ShopSettings,
    ) -> Result<Line> {
        Ok(Line {
            variant: variant.id,
            product: variant.product,
            sku: variant.sku,
            options: VariantOptions::from_json(&variant.options)?,
            name: variant.name,
            price: variant.price,
            stock: variant.stock,
            product_stock: variant.product_stock,
            quantity,
            images: catalog::images(&variant.images, settings)?,
            added_at,
        })
    }

    /// Returns what is missing if the stock is less than the quantity; `field` names it in the error.
    pub fn shortage(&self, field: impl FnOnce() -> String) -> Option<Shortage<'_>> {
        (self.quantity.get() > self.stock).then(|| Shortage {
            field: field(),
            product: self.product,
            variant: (!self.options.is_empty()).then_some(self.variant),
            name: catalog::full_name(&self.name, &self.options.title()),
            requested: self.quantity.get(),
            available: self.stock,
        })
    }
}

/// Returns the total of the cart lines, or the largest amount and `true` if the total exceeds it: prices may
/// have risen since the lines were added.
pub fn total(lines: &[Line]) -> Result<(Money, bool)> {
    let sums = lines.iter().map(|line| line.price.times(line.quantity));
    Ok(Money::capped_sum(sums.collect::<Result<Vec<_>>>()?))
}

/// Sorts cart lines by the time they were added. A cart has few, so this is cheaper than sorting in SQL.
pub(super) fn oldest_first(mut lines: Vec<Line>) -> Vec<Line> {
    lines.sort_by_key(|line| (line.added_at, line.product, line.variant));
    lines
}
