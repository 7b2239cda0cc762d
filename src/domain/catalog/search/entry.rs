//! The indexed data of a product.

use super::{name_sort_key, tokenize::tokenize};
use crate::{
    core::{
        id::{CategoryId, ProductId},
        money::Price,
    },
    domain::catalog::normalize::normalize,
};

/// A product's entry in the search index.
pub(in crate::domain::catalog) struct IndexEntry {
    pub(in crate::domain::catalog) product: ProductId,
    /// The preferred sort key (see [`name_sort_key`]). The stored one differs if another product has it.
    pub(super) key: i64,
    /// The normalized name.
    pub(in crate::domain::catalog) name_key: String,
    pub(super) name_words: Vec<String>,
    /// The words of the name, followed by others of the description and of SKUs.
    pub(super) words: Vec<String>,
    pub(super) attributes: FilterAttributes,
}

/// The attributes that lists filter by. `SQLite` indexes them as filter terms (see `bitmap_index/terms.rs`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::domain::catalog) struct FilterAttributes {
    pub(in crate::domain::catalog) category: Option<CategoryId>,
    pub(in crate::domain::catalog) price: Price,
    pub(in crate::domain::catalog) is_sold_out: bool,
}

/// Returns the index entry of a product; tokenizes its texts.
pub(in crate::domain::catalog) fn entry(
    product: ProductId,
    name: &str,
    description: &str,
    attributes: FilterAttributes,
) -> IndexEntry {
    let name_words = tokenize(name);
    let only_in_description = tokenize(description)
        .into_iter()
        .filter(|word| !name_words.contains(word));
    let words = name_words
        .iter()
        .cloned()
        .chain(only_in_description)
        .collect();
    let name_key = normalize(name);
    IndexEntry {
        product,
        key: name_sort_key::key(&name_key, product),
        name_key,
        words,
        name_words,
        attributes,
    }
}

impl IndexEntry {
    /// Adds the words of a SKU.
    pub(super) fn add_sku(&mut self, sku: &str) {
        for word in tokenize(sku) {
            if !self.words.contains(&word) {
                self.words.push(word);
            }
        }
    }
}
