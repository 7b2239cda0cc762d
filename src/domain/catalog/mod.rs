//! The catalog: categories, products with their images, and their stock.

mod batch;
mod cache_tags;
mod category;
mod change_stock;
mod criteria;
mod csv;
mod export;
mod filters;
mod get;
pub mod http;
mod import;
mod list;
mod manage_categories;
mod manage_products;
mod movements;
mod normalize;
pub mod problems;
mod product;
pub mod rate_limit_classes;
mod reindex;
mod search;
mod stock;
mod store;
mod update_variant;
mod variant;
mod verify;

pub use self::{
    category::{Category, CategoryName, CategoryRef},
    change_stock::{change_stock, restock, take_stock},
    csv::{CsvWriter, ExportRow, ImportFile, RowError},
    filters::{Filters, ListOutcome, Sort},
    get::{images, product, product_for_update, variant, variant_for_update, with_variants},
    import::{ImportPlan, ImportSummary, delete_expired_imports, import, plan_import},
    manage_categories::{
        add_category, categories, category_by_name, delete_category, rename_category,
    },
    manage_products::{create, create_all, delete, remove_image, update},
    product::{Changes, Description, NewProduct, Product, ProductName},
    reindex::{Reindexing, begin_reindex, finish_reindex, reindex_batch},
    stock::{
        Cause, Delta, Movement, OrderedUnits, Reason, RecordedMovement, Shortage, Taken,
        insufficient, variant_required,
    },
    update_variant::update_variant,
    variant::{
        ProductWithVariants, Variant, VariantChanges, VariantCode, VariantOption, VariantOptions,
        VariantWithProduct, Weight,
    },
    verify::{repair, verify},
};
pub use self::{
    export::{export, has_variant_columns},
    list::list,
    movements::movements,
    normalize::normalize,
    search::merge_search_index,
};
pub use crate::domain::media::Image;
