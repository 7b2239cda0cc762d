//! Selects the search index of the connected engine.

use super::{bitmap_index::BitmapIndex, gin_index::GinIndex, search_index::SearchIndex};
use crate::infra::db::Tx;

pub(super) fn search_index(tx: &Tx<'_>) -> &'static dyn SearchIndex {
    if tx.is_single_writer() {
        &BitmapIndex
    } else {
        &GinIndex
    }
}

/// Returns whether the index has filter terms, so that a change of category or price must update it.
pub(in crate::domain::catalog) fn indexes_filter_terms(tx: &Tx<'_>) -> bool {
    search_index(tx).indexes_filter_terms()
}
