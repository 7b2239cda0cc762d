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
    domain::accounts::{self, CurrentUser},
    infra::{
        db::Tx,
        web::{
            extract::{Bearer, Json, NoQuery, Path},
            respond,
            token::Claims,
        },
    },
};

pub fn routes() -> Routes {
    Routes::new()
        .routes(routes!(get_cart, add_to_cart, clear_cart))
        .routes(routes!(update_cart_item, remove_cart_item))
}

/// Runs a change of the visitor's cart and answers with the cart.
async fn change(
    app: Arc<App>,
    claims: Claims,
    name: &'static str,
    mut work: impl FnMut(&mut Tx<'_>, &App, CurrentUser) -> Result<Cart> + Send + 'static,
) -> Result<Response> {
    let shop = Arc::clone(&app);
    let cart = app
        .db
        .write(name, move |tx| {
            let visitor = accounts::authenticate(tx, &claims)?;
            work(tx, &shop, visitor)
        })
        .await?;
    respond::ok(&cart)
}

/// The cart
#[utoipa::path(get, path = "/cart", tag = "cart", security(("bearer" = [])),
    responses((status = 200, body = Cart)))]
pub(crate) async fn get_cart(
    axum::extract::State(app): State,
    Bearer(claims): Bearer,
    _: NoQuery,
) -> Result<Response> {
    let shop = Arc::clone(&app);
    let cart = app
        .db
        .read("cart.show", move |tx| {
            let visitor = accounts::authenticate(tx, &claims)?;
            super::show(tx, &shop, visitor)
        })
        .await?;
    respond::ok(&cart)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Addition {
    product_id: ProductId,
    #[serde(default = "one")]
    quantity: Quantity,
}

fn one() -> Quantity {
    Quantity::ONE
}

/// Add to the cart
#[utoipa::path(post, path = "/cart", tag = "cart", security(("bearer" = [])),
    request_body = Addition,
    responses(
        (status = 200, body = Cart),
        (status = 404, description = "`not-found`: no such product in the catalog"),
        (status = 409, description = "`insufficient-stock`"),
    ))]
pub(crate) async fn add_to_cart(
    axum::extract::State(app): State,
    Bearer(claims): Bearer,
    _: NoQuery,
    Json(body): Json<Addition>,
) -> Result<Response> {
    let shop = Arc::clone(&app);
    let cart = app
        .db
        .write("cart.add", move |tx| {
            let (product, quantity) = (body.product_id, body.quantity);
            if let Some(cart) = super::add_at_once(tx, &shop, &claims, product, quantity)? {
                return Ok(cart);
            }
            let visitor = accounts::authenticate(tx, &claims)?;
            super::add(tx, &shop, visitor, product, quantity)
        })
        .await?;
    respond::ok(&cart)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewQuantity {
    quantity: Quantity,
}

/// Set how many of a product the cart holds
#[utoipa::path(patch, path = "/cart/items/{productId}", tag = "cart", security(("bearer" = [])),
    params(("productId" = ProductId, Path)), request_body = NewQuantity,
    responses(
        (status = 200, body = Cart),
        (status = 409, description = "`insufficient-stock`"),
    ))]
pub(crate) async fn update_cart_item(
    axum::extract::State(app): State,
    Bearer(claims): Bearer,
    Path(product): Path<ProductId>,
    _: NoQuery,
    Json(body): Json<NewQuantity>,
) -> Result<Response> {
    change(app, claims, "cart.set", move |tx, app, visitor| {
        super::set(tx, app, visitor, product, body.quantity)
    })
    .await
}

/// Take a product out of the cart
#[utoipa::path(delete, path = "/cart/items/{productId}", tag = "cart", security(("bearer" = [])),
    params(("productId" = ProductId, Path)),
    responses((status = 200, body = Cart)))]
pub(crate) async fn remove_cart_item(
    axum::extract::State(app): State,
    Bearer(claims): Bearer,
    Path(product): Path<ProductId>,
    _: NoQuery,
) -> Result<Response> {
    change(app, claims, "cart.remove", move |tx, app, visitor| {
        super::remove(tx, app, visitor, product)
    })
    .await
}

/// Empty the cart
#[utoipa::path(delete, path = "/cart", tag = "cart", security(("bearer" = [])),
    responses((status = 200, body = Cart)))]
pub(crate) async fn clear_cart(
    axum::extract::State(app): State,
    Bearer(claims): Bearer,
    _: NoQuery,
) -> Result<Response> {
    change(app, claims, "cart.clear", move |tx, app, visitor| {
        super::clear(tx, visitor.user)?;
        super::show(tx, app, visitor)
    })
    .await
}
