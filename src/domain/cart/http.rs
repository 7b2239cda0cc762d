//! The routes of the cart.

use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{Cart, Selection};
use crate::{
    app::{Routes, State},
    core::{
        error::{Error, Result},
        id::{ProductId, VariantId},
        money::Quantity,
    },
    infra::{
        db::Tx,
        web::{
            extract::{Bearer, Json, NoQuery, Path, deserialize_some},
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
    /// Send either this or `productId`.
    #[serde(default, deserialize_with = "deserialize_some")]
    #[schema(value_type = VariantId, required = false)]
    variant_id: Option<VariantId>,
    /// Stands for the only variant of the product.
    #[serde(default, deserialize_with = "deserialize_some")]
    #[schema(value_type = ProductId, required = false)]
    product_id: Option<ProductId>,
    #[serde(default = "one")]
    quantity: Quantity,
}

fn one() -> Quantity {
    Quantity::ONE
}

impl AddToCart {
    fn selection(&self) -> Result<Selection> {
        match (self.variant_id, self.product_id) {
            (Some(variant), None) => Ok(Selection::Variant(variant)),
            (None, Some(product)) => Ok(Selection::Product(product)),
            (None, None) => Err(Error::field(
                "productId",
                "required",
                "is required, or `variantId`",
            )),
            (Some(_), Some(_)) => {
                let message = "send either `variantId` or `productId`";
                Err(Error::field("productId", "mutually-exclusive", message))
            }
        }
    }
}

/// Add a product to the cart
///
/// Adds to the quantity that the cart has already. A cart holds 1 to 1000 of a variant, and at most 100
/// variants.
#[utoipa::path(post, path = "/cart", tag = "cart", security(("bearer" = [])),
    request_body = AddToCart,
    responses(
        (status = 200, body = Cart, headers(("X-Inventory-Seq"))),
        (status = 404, description = "`not-found`: no such product"),
        (status = 409, description = "`insufficient-stock`, `variant-required`"),
    ))]
pub(crate) async fn add_to_cart(
    axum::extract::State(app): State,
    Bearer(claims): Bearer,
    _: NoQuery,
    Json(body): Json<AddToCart>,
) -> Result<Response> {
    let selection = body.selection()?;
    let prefetch =
        move |tx: &mut Tx<'_>, user| super::Addition::prefetch(tx, user, selection, body.quantity);
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

/// Set the quantity of a cart item
///
/// The id is that of a variant in the cart, or of a product of which the cart has one variant.
#[utoipa::path(patch, path = "/cart/items/{id}", tag = "cart", security(("bearer" = [])),
    params(("id" = VariantId, Path)), request_body = UpdateCartItem,
    responses(
        (status = 200, body = Cart, headers(("X-Inventory-Seq"))),
        (status = 409, description = "`insufficient-stock`, `variant-required`"),
    ))]
pub(crate) async fn update_cart_item(
    axum::extract::State(app): State,
    Bearer(claims): Bearer,
    Path(id): Path<VariantId>,
    _: NoQuery,
    Json(body): Json<UpdateCartItem>,
) -> Result<Response> {
    let seq = app.bus.head();
    let cart = app
        .write_as(&claims, "cart.set", move |tx, user| {
            super::set_quantity(tx, user, id.0, body.quantity)
        })
        .await?;
    cart_response(&cart, seq)
}

/// Remove a cart item
///
/// The id is that of a variant in the cart, or of a product of which the cart has one variant. The response has the rest
/// of the cart.
#[utoipa::path(delete, path = "/cart/items/{id}", tag = "cart", security(("bearer" = [])),
    params(("id" = VariantId, Path)),
    responses(
        (status = 200, body = Cart, headers(("X-Inventory-Seq"))),
        (status = 409, description = "`variant-required`"),
    ))]
pub(crate) async fn remove_cart_item(
    axum::extract::State(app): State,
    Bearer(claims): Bearer,
    Path(id): Path<VariantId>,
    _: NoQuery,
) -> Result<Response> {
    let seq = app.bus.head();
    let cart = app
        .write_as(&claims, "cart.remove", move |tx, user| {
            super::remove(tx, user, id.0)
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
