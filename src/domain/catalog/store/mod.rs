//! The SQL of the catalog except search: products, categories, stock movements, imports and checks.

mod batch;
mod categories;
mod collections;
mod imports;
mod list_rows;
mod movements;
mod price_counts;
mod product_query;
mod products;
mod reindex;
mod stock;
mod variants;
mod verify;

pub(super) use self::{
    batch::{
        CurrentProduct, ProductRow, add_to_product_count, each_export_row, insert_all,
        lock_products, product_count, update_all,
    },
    categories::{
        categories, categories_by_key, category_by_id, category_by_id_or_slug, category_keys,
        delete_category, duplicate_key, insert_category, reassign_key, rename_category,
        set_category_keys, set_category_name, slug_is_taken,
    },
    collections::{
        add_products_to_collection, collection_by_id, collection_by_id_or_slug, collections,
        collections_of_product, delete_collection, existing_products, insert_collection,
        lock_collection, products_of_collection, remove_products_of_collection, update_collection,
    },
    imports::{delete_imports_before, imported_at, record_import},
    list_rows::{
        CursorRows, cursor_rows, number_of, numbers_after, numbers_of_collection, order_by,
        page_rows, use_sold_out_index,
    },
    movements::{insert_movements, movements_before},
    price_counts::{count_by_price, recount_by_price, wrong_price_counts},
    product_query::{Columns, ORDER_OF_NUMBERS, OnRow, ProductQuery},
    products::{
        ProductColumns, add_to_category_count, by_id, delete, insert, lock_product, options_of,
        read_product, reset_kept_values, set_images, set_kept_values, set_options, update,
    },
    reindex::{count_indexed, has_unversioned, last_indexed, lock_unindexed, set_name_key},
    stock::{add_stock, add_to_stock, add_variant_stock, return_variant_stock, stock, take_stock},
    variants::{
        CurrentVariant, ImportedColumns, VariantColumns, VariantRow, current_variants,
        delete_variant, delete_variants, each_sku, each_sku_of, has_codes, has_options, id_owners,
        insert_variant, insert_variants, product_by_sku_key, products_with_wrong_variants,
        release_keys, remove_image_from_variants, restore_variant, set_sku_key,
        set_variant_options, set_variant_price, sku_owners, update_variant, variant_by_id,
        variant_by_options_key, variant_by_sku_key, variants_of, write_variants,
    },
    verify::{
        VariantStock, balances, counted_products, each_with_options, impossible_stock, products_of,
        recount_category, recount_products, set_sold_out, unbalanced_stock, wrong_category_counts,
        wrong_kept_values, wrong_sold_out,
    },
};
