//! What cached responses with products depend on. The store invalidates these tags where it writes.

use super::filters::Filters;
use crate::{
    core::id::ProductId,
    infra::db::{CacheTag, Tx},
};

fn tag(product: ProductId) -> CacheTag {
    CacheTag::of("product", product.0)
}

/// Which products there are, and all that filters, searches and sort orders read, except the stock.
fn listed() -> CacheTag {
    CacheTag::new("listed products")
}

/// Which products are sold out.
fn availability() -> CacheTag {
    CacheTag::new("availability")
}

/// The names of categories, which are part of their products.
fn categories() -> CacheTag {
    CacheTag::new("categories")
}

/// Returns what a product depends on.
pub(super) fn of_product(id: ProductId) -> Vec<CacheTag> {
    vec![tag(id), categories()]
}

/// Returns what a list with these products depends on.
pub(super) fn of_list(filters: &Filters, products: &[ProductId]) -> Vec<CacheTag> {
    let mut tags: Vec<_> = products.iter().copied().map(tag).collect();
    tags.extend([listed(), categories()]);
    tags.extend(filters.in_stock.map(|_| availability()));
    tags
}

/// Invalidates a product whose stock or images have changed.
pub(super) fn invalidate_product(tx: &mut Tx<'_>, id: ProductId) {
    tx.invalidate(tag(id));
}

/// Invalidates a product, and all lists.
pub(super) fn invalidate_listed(tx: &mut Tx<'_>, id: ProductId) {
    invalidate_product(tx, id);
    invalidate_lists(tx);
}

/// Invalidates all lists.
pub(super) fn invalidate_lists(tx: &mut Tx<'_>) {
    tx.invalidate(listed());
}

/// Invalidates lists that depend on what is sold out.
pub(super) fn invalidate_availability(tx: &mut Tx<'_>) {
    tx.invalidate(availability());
}

/// Invalidates everything with the name of a category.
pub(super) fn invalidate_categories(tx: &mut Tx<'_>) {
    tx.invalidate(categories());
}
