//! The routes of the cart. A customer sends a bearer token, and a guest the token of the cart.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, Request},
    response::Response,
};
use http::{HeaderName, StatusCode, request::Parts};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::{Cart, CartOwner, CartToken, MergeStrategy, MergedLine, Selection, guest};
use crate::{
    app::{App, Routes, State},
    core::{
        error::{Error, Kind, Result},
        id::{ProductId, VariantId},
        money::Quantity,
    },
    domain::accounts::CurrentUser,
    infra::{
        db::Tx,
        web::{
            extract::{Bearer, Json, NoQuery, Path, RawJson, deserialize_some},
            jwt::Claims,
            respond::{self, INVENTORY_SEQ},
        },
    },
};

const CART_TOKEN: HeaderName = HeaderName::from_static("cart-token");

pub fn routes() -> Routes {
    Routes::new()
        .routes(routes!(create_guest_cart))
        .routes(routes!(get_cart, add_to_cart, clear_cart))
        .routes(routes!(update_cart_item, remove_cart_item))
        .routes(routes!(merge_cart))
}

/// Who sends a request about a cart.
#[derive(Clone)]
pub(crate) enum Shopper {
    Customer(Claims),
    Guest(CartToken),
}

impl FromRequestParts<Arc<App>> for Shopper {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self> {
        let mut tokens = parts.headers.get_all(CART_TOKEN).iter();
        let Some(token) = tokens.next() else {
            let Bearer(claims) = Bearer::from_request_parts(parts, app).await?;
            return Ok(Shopper::Customer(claims));
        };
        let invalid = |detail: &'static str| Err(Error::new(Kind::InvalidHeader, detail));
        if tokens.next().is_some() {
            return invalid("`Cart-Token` was sent more than once");
        }
        if parts.headers.contains_key(http::header::AUTHORIZATION) {
            return invalid("send either `Authorization` or `Cart-Token`");
        }
        match token.to_str() {
            Ok(token) => Ok(Shopper::Guest(CartToken::new(token))),
            Err(_) => invalid("`Cart-Token` may contain only visible ASCII characters"),
        }
    }
}

impl Shopper {
    async fn read(
        self,
        app: &App,
        name: &'static str,
        mut work: impl FnMut(&mut Tx<'_>, CartOwner) -> Result<Cart> + Send + 'static,
    ) -> Result<Cart> {
        match self {
            Shopper::Customer(claims) => {
                let work =
                    move |tx: &mut Tx<'_>, user: CurrentUser| work(tx, CartOwner::Account(user.id));
                app.read_as(&claims, name, work).await
            }
            Shopper::Guest(token) => {
                let work = move |tx: &mut Tx<'_>| {
                    let owner = guest::find(tx, &token)?;
                    work(tx, owner)
                };
                app.db.read(name, work).await
            }
        }
    }

    async fn write(
        self,
        app: &App,
        name: &'static str,
        mut work: impl FnMut(&mut Tx<'_>, CartOwner) -> Result<Cart> + Send + 'static,
    ) -> Result<Cart> {
        let no_prefetch = |_: &mut Tx<'_>, _| Ok(());
        self.write_prefetched(app, name, no_prefetch, move |tx, owner, ()| work(tx, owner))
            .await
    }

    /// What `prefetch` reads for a customer shares the round trip of the session check.
    async fn write_prefetched<Q>(
        self,
        app: &App,
        name: &'static str,
        mut prefetch: impl FnMut(&mut Tx<'_>, CartOwner) -> Result<Q> + Send + 'static,
        mut work: impl FnMut(&mut Tx<'_>, CartOwner, Q) -> Result<Cart> + Send + 'static,
    ) -> Result<Cart> {
        match self {
            Shopper::Customer(claims) => {
                let prefetch = move |tx: &mut Tx<'_>, user| prefetch(tx, CartOwner::Account(user));
                let work = move |tx: &mut Tx<'_>, user: CurrentUser, prefetched| {
                    work(tx, CartOwner::Account(user.id), prefetched)
                };
                app.write_prefetched_as(&claims, name, prefetch, work).await
            }
            Shopper::Guest(token) => {
                let work = move |tx: &mut Tx<'_>| {
                    let owner = guest::find_for_update(tx, &token)?;
                    let prefetched = prefetch(tx, owner)?;
                    work(tx, owner, prefetched)
                };
                app.db.write(name, work).await
            }
        }
    }
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateGuestCart {
    /// ISO 4217; that of the shop.
    #[serde(default, deserialize_with = "deserialize_some")]
    #[schema(value_type = String, required = false, pattern = "^[A-Z]{3}$", example = "INR")]
    currency: Option<String>,
}

/// A new cart of a guest.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GuestCart {
    /// A secret that is shown once: whoever has it has the cart.
    #[schema(pattern = "^cart_[A-Za-z0-9_-]{43}$")]
    cart_token: String,
    cart: Cart,
}

/// Create the cart of a guest
///
/// For visitors without an account. Send the token as `Cart-Token` to the routes of the cart, and as `cartToken` when the
/// guest signs in. The cart expires some time after its last change, 30 days by default.
#[utoipa::path(post, path = "/carts", tag = "cart",
    request_body = Option<CreateGuestCart>,
    responses(
        (status = 201, body = GuestCart, headers(("X-Inventory-Seq"))),
        (status = 422, description = "`validation-failed`; code `unknown-currency`"),
    ))]
pub(crate) async fn create_guest_cart(
    axum::extract::State(app): State,
    _: NoQuery,
    request: Request,
) -> Result<Response> {
    let body = RawJson::<CreateGuestCart>::optional(request).await?.value;
    let currency = app.settings().currency.code();
    if body.currency.is_some_and(|other| other != currency) {
        let message = format!("the shop sells in {currency}");
        return Err(Error::field("currency", "unknown-currency", message));
    }
    let seq = app.bus.head();
    let created = app
        .db
        .write("cart.create", |tx| {
            let (token, owner) = guest::create(tx)?;
            Ok(GuestCart {
                cart_token: token.as_str().to_owned(),
                cart: super::show(tx, owner)?,
            })
        })
        .await?;
    let response = respond::json(StatusCode::CREATED, &created)?;
    Ok(with_seq(response, seq))
}

/// Get the cart
///
/// The cart of the customer or guest, with today's prices and stock. An empty cart has no items.
#[utoipa::path(get, path = "/cart", tag = "cart", security(("bearer" = []), ("cartToken" = [])),
    responses(
        (status = 200, body = Cart, headers(("X-Inventory-Seq"))),
        (status = 404, description = "`not-found`: the cart token is unknown or expired"),
    ))]
pub(crate) async fn get_cart(
    axum::extract::State(app): State,
    shopper: Shopper,
    _: NoQuery,
) -> Result<Response> {
    let seq = app.bus.head();
    let cart = shopper.read(&app, "cart.show", super::show).await?;
    cart_response(&cart, seq)
}

/// `seq` is read before the cart, so that the stock in it reflects at least the events up to it.
fn cart_response(cart: &Cart, seq: i64) -> Result<Response> {
    respond::ok(cart).map(|response| with_seq(response, seq))
}

fn with_seq(mut response: Response, seq: i64) -> Response {
    let headers = response.headers_mut();
    headers.insert(INVENTORY_SEQ, respond::number(seq));
    response
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
#[utoipa::path(post, path = "/cart", tag = "cart", security(("bearer" = []), ("cartToken" = [])),
    request_body = AddToCart,
    responses(
        (status = 200, body = Cart, headers(("X-Inventory-Seq"))),
        (status = 404, description = "`not-found`: no such product"),
        (status = 409, description = "`insufficient-stock`, `variant-required`"),
    ))]
pub(crate) async fn add_to_cart(
    axum::extract::State(app): State,
    shopper: Shopper,
    _: NoQuery,
    Json(body): Json<AddToCart>,
) -> Result<Response> {
    let selection = body.selection()?;
    let prefetch = move |tx: &mut Tx<'_>, owner| {
        super::Addition::prefetch(tx, owner, selection, body.quantity)
    };
    let seq = app.bus.head();
    let cart = shopper
        .write_prefetched(&app, "cart.add", prefetch, super::add)
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
#[utoipa::path(patch, path = "/cart/items/{id}", tag = "cart",
    security(("bearer" = []), ("cartToken" = [])),
    params(("id" = VariantId, Path)), request_body = UpdateCartItem,
    responses(
        (status = 200, body = Cart, headers(("X-Inventory-Seq"))),
        (status = 409, description = "`insufficient-stock`, `variant-required`"),
    ))]
pub(crate) async fn update_cart_item(
    axum::extract::State(app): State,
    shopper: Shopper,
    Path(id): Path<VariantId>,
    _: NoQuery,
    Json(body): Json<UpdateCartItem>,
) -> Result<Response> {
    let seq = app.bus.head();
    let set = move |tx: &mut Tx<'_>, owner| super::set_quantity(tx, owner, id.0, body.quantity);
    let cart = shopper.write(&app, "cart.set", set).await?;
    cart_response(&cart, seq)
}

/// Remove a cart item
///
/// The id is that of a variant in the cart, or of a product of which the cart has one variant. The response has the rest
/// of the cart.
#[utoipa::path(delete, path = "/cart/items/{id}", tag = "cart",
    security(("bearer" = []), ("cartToken" = [])),
    params(("id" = VariantId, Path)),
    responses(
        (status = 200, body = Cart, headers(("X-Inventory-Seq"))),
        (status = 409, description = "`variant-required`"),
    ))]
pub(crate) async fn remove_cart_item(
    axum::extract::State(app): State,
    shopper: Shopper,
    Path(id): Path<VariantId>,
    _: NoQuery,
) -> Result<Response> {
    let seq = app.bus.head();
    let remove = move |tx: &mut Tx<'_>, owner| super::remove(tx, owner, id.0);
    let cart = shopper.write(&app, "cart.remove", remove).await?;
    cart_response(&cart, seq)
}

/// Clear the cart
///
/// Removes all products from the cart.
#[utoipa::path(delete, path = "/cart", tag = "cart", security(("bearer" = []), ("cartToken" = [])),
    responses(
        (status = 200, body = Cart, headers(("X-Inventory-Seq"))),
        (status = 404, description = "`not-found`: the cart token is unknown or expired"),
    ))]
pub(crate) async fn clear_cart(
    axum::extract::State(app): State,
    shopper: Shopper,
    _: NoQuery,
) -> Result<Response> {
    let seq = app.bus.head();
    let clear = |tx: &mut Tx<'_>, owner| {
        super::clear(tx, owner)?;
        super::show(tx, owner)
    };
    let cart = shopper.write(&app, "cart.clear", clear).await?;
    cart_response(&cart, seq)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct MergeCart {
    #[schema(value_type = String)]
    cart_token: CartToken,
    #[serde(default)]
    strategy: MergeStrategy,
}

/// A cart after a merge.
#[derive(Serialize, ToSchema)]
pub(crate) struct MergedCart {
    cart: Cart,
    /// What became of each line of the guest's cart; none if it was merged before.
    merged: Vec<MergedLine>,
}

/// Merge the cart of a guest
///
/// Moves the lines of the guest's cart to that of the customer, once. Quantities are added, up to 1000 and to the stock.
#[utoipa::path(post, path = "/cart/merge", tag = "cart", security(("bearer" = [])),
    request_body = MergeCart,
    responses(
        (status = 200, body = MergedCart, headers(("X-Inventory-Seq"))),
        (status = 404, description = "`not-found`: the token is unknown or expired"),
    ))]
pub(crate) async fn merge_cart(
    axum::extract::State(app): State,
    shopper: Shopper,
    _: NoQuery,
    Json(body): Json<MergeCart>,
) -> Result<Response> {
    let Shopper::Customer(claims) = shopper else {
        return Err(Error::unauthorized("sign in to merge carts"));
    };
    let seq = app.bus.head();
    let merged = app
        .write_as(&claims, "cart.merge", move |tx, user| {
            let merged = super::merge(tx, user.id, &body.cart_token, body.strategy)?;
            let cart = super::show(tx, CartOwner::Account(user.id))?;
            Ok(MergedCart { cart, merged })
        })
        .await?;
    respond::ok(&merged).map(|response| with_seq(response, seq))
}
