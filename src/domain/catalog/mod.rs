//! The catalog: categories, products with their images, and their stock.

mod batch;
mod cache_tags;
mod category;
mod change_stock;
mod collection;
mod criteria;
mod csv;
mod export;
mod filters;
mod get;
pub mod http;
mod import;
mod kept_values;
mod list;
mod manage_categories;
mod manage_collections;
mod manage_products;
mod manage_variants;
mod movements;
mod normalize;
mod options;
pub mod problems;
mod product;
pub mod rate_limit_classes;
mod reindex;
mod search;
mod stock;
mod store;
mod variant;
mod verify;
mod write_variant;

pub use self::{
    category::{Category, CategoryName, CategoryRef},
    change_stock::{change_stock, change_variant_stock, restock, take_stock},
    collection::{
        Collection, CollectionChanges, CollectionName, CollectionWithProducts, NewCollection,
    },
    csv::{CsvWriter, ExportColumns, ExportRow, ImportFile, RowError},
    filters::{Filters, ListOutcome, Sort},
    get::{images, product, product_for_update, variant, variant_for_update, with_variants},
    import::{ImportPlan, ImportSummary, delete_expired_imports, import, plan_import},
    manage_categories::{
        add_category, categories, category_by_name, delete_category, rename_category,
    },
    manage_collections::{
        collection, collection_id, collections, create_collection, delete_collection,
        update_collection,
    },
    manage_products::{create, create_all, create_with_variants, delete, remove_image, update},
    manage_variants::{create_variant, delete_variant, set_options, update_variant},
    options::{
        NewOption, NewValue, OptionName, OptionText, OptionValue, ProductOption, ProductOptions,
        Selection, VariantOption, VariantOptions,
    },
    product::{Changes, Description, NewProduct, Product, ProductName},
    reindex::{Reindexing, begin_reindex, finish_reindex, reindex_batch},
    stock::{
        Cause, Delta, Movement, OrderedUnits, Reason, RecordedMovement, Shortage, StockedVariant,
        Taken, insufficient, variant_required,
    },
    variant::{
        NewProductWithVariants, NewVariant, ProductWithVariants, Variant, VariantChanges,
        VariantCode, VariantPosition, VariantWithProduct, Weight, full_name,
    },
    verify::{repair, verify},
};
pub use self::{
    export::{export, export_columns},
    list::list,
    movements::movements,
    normalize::normalize,
    search::merge_search_index,
};
pub use crate::domain::media::Image;
