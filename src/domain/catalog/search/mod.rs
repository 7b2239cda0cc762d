//! Product search: finds products by the words of their names and descriptions, ranks them, and falls back to
//! similar spellings.
//!
//! Texts are tokenized here, the same way for every engine. An engine only has to find the products with
//! given words; whatever differs between engines is in `bitmap_index` (`SQLite`) and `gin_index` (Postgres).

mod bitmap_index;
mod engine;
mod entry;
mod gin_index;
mod name_sort_key;
mod query;
mod result_with_similar;
mod search_index;
mod search_results;
mod spelling;
mod tokenize;
mod write;

pub use self::write::merge_search_index;
pub(super) use self::{
    engine::indexes_filter_terms,
    entry::{FilterAttributes, entry},
    query::SearchQuery,
    search_results::search,
    write::{index, index_product, index_rows, remove, set_sold_out},
};
