//! The routes of the cart.

use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::Cart;
use crate::{
    app::{Routes, State},
    core::{error::Result, id::ProductId, money::Quantity},
    infra::{
        db::Tx,
        web::{
            extract::{Bearer, Json, NoQuery, Path},
            respond::{self, INVENTORY_SEQ},
        },
    },
};

pub fn routes() -> Routes {
    Routes::new()
        .routes(routes!(get_cart, add_to_cart, clear_cart))
        .routes(routes!(update_cart_item, remove_cart_item))
}

/// Get the cart
///
/// The cart of the current user, with today's prices and stock. An empty cart has no items.
#[utoipa::path(get, path = "/cart", tag = "cart", security(("bearer" = [])),
    responses((status = 200, body = Cart, headers(("X-Inventory-Seq")))))]
pub(crate) async fn get_cart(
    axum::extract::State(app): State,
    Bearer(claims): Bearer,
    _: NoQuery,
) -> Result<Response> {
    let seq = app.bus.head();
    let cart = app.read_as(&claims, "cart.show", super::show).await?;
    cart_response(&cart, seq)
}

/// `seq` is read before the cart, so that the stock in it reflects at least the events up to it.
fn cart_response(cart: &Cart, seq: i64) -> Result<Response> {
    let mut response = respond::ok(cart)?;
    response
        .headers_mut()
        .insert(INVENTORY_SEQ, respond::number(seq));
    Ok(response)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct AddToCart {
    product_id: ProductId,
    #[serde(default = "one")]
    quantity: Quantity,
}

fn one() -> Quantity {
    Quantity::ONE
}

/// Add a product to the cart
///
/// Adds to the quantity that the cart has already. A cart holds 1 to 1000 of a product, and at most 100
/// products.
#[utoipa::path(post, path = "/cart", tag = "cart", security(("bearer" = [])),
    request_body = AddToCart,
    responses(
        (status = 200, body = Cart, headers(("X-Inventory-Seq"))),
        (status = 404, description = "`not-found`: no such product"),
        (status = 409, description = "`insufficient-stock`"),
    ))]
pub(crate) async fn add_to_cart(
    axum::extract::State(app): State,
    Bearer(claims): Bearer,
    _: NoQuery,
    Json(body): Json<AddToCart>,
) -> Result<Response> {
    let prefetch = move |tx: &mut Tx<'_>, user| {
        super::Addition::prefetch(tx, user, body.product_id, body.quantity)
    };
    let seq = app.bus.head();
    let cart = app
        .write_prefetched_as(&claims, "cart.add", prefetch, move |tx, user, addition| {
            super::add(tx, user, addition)
        })
        .await?;
    cart_response(&cart, seq)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateCartItem {
    quantity: Quantity,
}

/// Set the quantity of a product in the cart
///
/// The product must be in the cart.
#[utoipa::path(patch, path = "/cart/items/{productId}", tag = "cart", security(("bearer" = [])),
    params(("productId" = ProductId, Path)), request_body = UpdateCartItem,
    responses(
        (status = 200, body = Cart, headers(("X-Inventory-Seq"))),
        (status = 409, description = "`insufficient-stock`"),
    ))]
pub(crate) async fn update_cart_item(
    axum::extract::State(app): State,
    Bearer(claims): Bearer,
    Path(product): Path<ProductId>,
    _: NoQuery,
    Json(body): Json<UpdateCartItem>,
) -> Result<Response> {
    let seq = app.bus.head();
    let cart = app
        .write_as(&claims, "cart.set", move |tx, user| {
            super::set_quantity(tx, user, product, body.quantity)
        })
        .await?;
    cart_response(&cart, seq)
}

/// Remove a product from the cart
///
/// The response has the rest of the cart.
#[utoipa::path(delete, path = "/cart/items/{productId}", tag = "cart", security(("bearer" = [])),
    params(("productId" = ProductId, Path)),
    responses((status = 200, body = Cart, headers(("X-Inventory-Seq")))))]
pub(crate) async fn remove_cart_item(
    axum::extract::State(app): State,
    Bearer(claims): Bearer,
    Path(product): Path<ProductId>,
    _: NoQuery,
) -> Result<Response> {
    let seq = app.bus.head();
    let cart = app
        .write_as(&claims, "cart.remove", move |tx, user| {
            super::remove(tx, user, product)
        })
        .await?;
    cart_response(&cart, seq)
}

/// Clear the cart
///
/// Removes all products from the cart of the current user.
#[utoipa::path(delete, path = "/cart", tag = "cart", security(("bearer" = [])),
    responses((status = 200, body = Cart, headers(("X-Inventory-Seq")))))]
pub(crate) async fn clear_cart(
    axum::extract::State(app): State,
    Bearer(claims): Bearer,
    _: NoQuery,
) -> Result<Response> {
    let seq = app.bus.head();
    let cart = app
        .write_as(&claims, "cart.clear", move |tx, user| {
            super::clear(tx, user.id)?;
            super::show(tx, user)
        })
        .await?;
    cart_response(&cart, seq)
}
