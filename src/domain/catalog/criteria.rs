//! What the products of a list must match: filters whose names are resolved.

use std::ops::RangeInclusive;

use super::{
    category::Category,
    filters::{Filters, Sort},
    normalize::sku_key,
    store,
};
use crate::{
    core::{error::Result, id::ProductId},
    infra::db::Tx,
};

/// A product must match all of them, but not the search text.
#[derive(Debug, Clone)]
pub(super) struct Criteria {
    pub(super) category: Option<Category>,
    /// The only product, for a filter by SKU.
    pub(super) product: Option<ProductId>,
    pub(super) prices: Option<RangeInclusive<i64>>,
    pub(super) in_stock: Option<bool>,
    pub(super) sort: Sort,
}

impl Criteria {
    /// Resolves filters. Returns `None` if no product can match.
    pub(super) fn resolve(tx: &mut Tx<'_>, filters: &Filters) -> Result<Option<Criteria>> {
        let mut criteria = Criteria {
            category: None,
            product: None,
            prices: filters.prices(),
            in_stock: filters.in_stock,
            sort: filters.sort,
        };
        if let Some(name) = &filters.category {
            criteria.category = store::category_by_id_or_slug(tx, name)?;
            if criteria.category.is_none() {
                return Ok(None);
            }
        }
        if let Some(sku) = &filters.sku {
            criteria.product = store::product_by_sku_key(tx, &sku_key(sku))?;
            if criteria.product.is_none() {
                return Ok(None);
            }
        }
        Ok(Some(criteria))
    }

    /// Returns whether only some products match.
    pub(super) fn is_filtered(&self) -> bool {
        self.category.is_some() || self.product.is_some() || self.has_price_or_stock()
    }

    /// Returns whether there are criteria of price or stock.
    pub(super) fn has_price_or_stock(&self) -> bool {
        self.prices.is_some() || self.in_stock.is_some()
    }
}
