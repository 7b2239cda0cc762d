//! What the products of a list must match: filters whose names are resolved.

use std::ops::RangeInclusive;

use super::{category::Category, filters::Sort};
use crate::core::id::{CollectionId, ProductId};

/// A product must match all of them, but not the search text.
#[derive(Debug, Clone)]
pub(super) struct Criteria {
    pub(super) category: Option<Category>,
    pub(super) collection: Option<CollectionId>,
    /// The only product, for a filter by SKU.
    pub(super) product: Option<ProductId>,
    pub(super) prices: Option<RangeInclusive<i64>>,
    pub(super) in_stock: Option<bool>,
    pub(super) sort: Sort,
}

impl Criteria {
    /// Returns whether only some products match.
    pub(super) fn is_filtered(&self) -> bool {
        self.category.is_some()
            || self.collection.is_some()
            || self.product.is_some()
            || self.has_price_or_stock()
    }

    /// Returns whether there are criteria of price or stock.
    pub(super) fn has_price_or_stock(&self) -> bool {
        self.prices.is_some() || self.in_stock.is_some()
    }
}
