//! The routes of categories and products.

mod categories;
mod collections;
mod import;
mod list;
mod options;
mod product_bodies;
mod products;
mod stock;
mod variants;

use utoipa_axum::routes;

use crate::app::Routes;

pub fn routes() -> Routes {
    Routes::new()
        .routes(routes!(
            categories::list_categories,
            categories::create_category
        ))
        .routes(routes!(
            categories::update_category,
            categories::delete_category
        ))
        .routes(routes!(
            collections::list_collections,
            collections::create_collection
        ))
        .routes(routes!(
            collections::get_collection,
            collections::update_collection,
            collections::delete_collection
        ))
        .routes(routes!(list::list_products, products::create_product))
        .routes(routes!(
            products::get_product,
            products::update_product,
            products::delete_product
        ))
        .routes(routes!(options::set_product_options))
        .routes(routes!(variants::create_variant))
        .routes(routes!(
            variants::get_variant,
            variants::update_variant,
            variants::delete_variant
        ))
        .routes(routes!(products::add_product_images))
        .routes(routes!(products::delete_product_image))
        .routes(routes!(stock::change_product_stock))
        .routes(routes!(stock::change_variant_stock))
        .routes(routes!(stock::list_stock_movements))
        .routes(routes!(import::import_products))
}
