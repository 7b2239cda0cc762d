//! The routes of the cart.

use std::sync::Arc;

use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::Cart;
use crate::{
    app::{App, Routes, State},
    core::{error::Result, id::ProductId, money::Quantity},
    domain::accounts::CurrentUser,
    infra::{
        db::Tx,
        web::{
            extract::{Bearer, Json, NoQuery, Path},
            jwt::Claims,
            respond,
        },
    },
};

pub fn routes() -> Routes {
    Routes::new()
        .routes(routes!(get_cart, add_to_cart, clear_cart))
        .routes(routes!(update_cart_item, remove_cart_item))
}

/// Runs a change of the user's cart and responds with the cart.
async fn change(
    app: Arc<App>,
    claims: &Claims,
    name: &'static str,
    mut change: impl FnMut(&mut Tx<'_>, &App, CurrentUser) -> Result<Cart> + Send + 'static,
) -> Result<Response> {
    let shop = Arc::clone(&app);
    let cart = app
        .write_as(claims, name, move |tx, user| change(tx, &shop, user))
        .await?;
    respond::ok(&cart)
}

/// Get the cart
#[utoipa::path(get, path = "/cart", tag = "cart", security(("bearer" = [])),
    responses((status = 200, body = Cart)))]
pub(crate) async fn get_cart(
    axum::extract::State(app): State,
    Bearer(claims): Bearer,
    _: NoQuery,
) -> Result<Response> {
    let shop = Arc::clone(&app);
    let cart = app
        .read_as(&claims, "cart.show", move |tx, user| {
            super::show(tx, &shop, user)
        })
        .await?;
    respond::ok(&cart)
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
#[utoipa::path(post, path = "/cart", tag = "cart", security(("bearer" = [])),
    request_body = AddToCart,
    responses(
        (status = 200, body = Cart),
        (status = 404, description = "`not-found`: no such product"),
        (status = 409, description = "`insufficient-stock`"),
    ))]
pub(crate) async fn add_to_cart(
    axum::extract::State(app): State,
    Bearer(claims): Bearer,
    _: NoQuery,
    Json(body): Json<AddToCart>,
) -> Result<Response> {
    let shop = Arc::clone(&app);
    let queue = move |tx: &mut Tx<'_>, user| {
        super::Addition::queue(tx, user, body.product_id, body.quantity)
    };
    let cart = app
        .write_queued_as(&claims, "cart.add", queue, move |tx, user, addition| {
            super::add(tx, &shop, user, addition)
        })
        .await?;
    respond::ok(&cart)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateCartItem {
    quantity: Quantity,
}

/// Set the quantity of a product in the cart
#[utoipa::path(patch, path = "/cart/items/{productId}", tag = "cart", security(("bearer" = [])),
    params(("productId" = ProductId, Path)), request_body = UpdateCartItem,
    responses(
        (status = 200, body = Cart),
        (status = 409, description = "`insufficient-stock`"),
    ))]
pub(crate) async fn update_cart_item(
    axum::extract::State(app): State,
    Bearer(claims): Bearer,
    Path(product): Path<ProductId>,
    _: NoQuery,
    Json(body): Json<UpdateCartItem>,
) -> Result<Response> {
    change(app, &claims, "cart.set", move |tx, app, user| {
        super::set(tx, app, user, product, body.quantity)
    })
    .await
}

/// Remove a product from the cart
#[utoipa::path(delete, path = "/cart/items/{productId}", tag = "cart", security(("bearer" = [])),
    params(("productId" = ProductId, Path)),
    responses((status = 200, body = Cart)))]
pub(crate) async fn remove_cart_item(
    axum::extract::State(app): State,
    Bearer(claims): Bearer,
    Path(product): Path<ProductId>,
    _: NoQuery,
) -> Result<Response> {
    change(app, &claims, "cart.remove", move |tx, app, user| {
        super::remove(tx, app, user, product)
    })
    .await
}

/// Clear the cart
#[utoipa::path(delete, path = "/cart", tag = "cart", security(("bearer" = [])),
    responses((status = 200, body = Cart)))]
pub(crate) async fn clear_cart(
    axum::extract::State(app): State,
    Bearer(claims): Bearer,
    _: NoQuery,
) -> Result<Response> {
    change(app, &claims, "cart.clear", move |tx, app, user| {
        super::clear(tx, user.user)?;
        super::show(tx, app, user)
    })
    .await
}
