//! The customer's own orders.

use std::sync::Arc;

use axum::{
    extract::{OriginalUri, Request},
    response::Response,
};
use http::{StatusCode, header};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::{
    app::State,
    core::{
        error::Result,
        id::OrderId,
        money::Money,
        pagination::{KeyType, List, ListRequest, PageLimit, PageNumber},
    },
    domain::orders::{self, Actor, Filters, NewOrder, Order, Status},
    infra::{
        db::Tx,
        web::{
            extract::{Bearer, NoQuery, Path, Query, RawJson, deserialize_some, empty_is_set},
            idempotency::{IdempotencyKey, StoredResponse},
            respond,
        },
    },
};

#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct PlaceOrder {
    /// The total that the customer saw. A different total is rejected.
    #[serde(default, deserialize_with = "deserialize_some")]
    #[schema(value_type = Money, required = false)]
    expected_total: Option<Money>,
}

/// Place an order for the cart
///
/// One transaction takes the stock, creates the order and its payment, and clears the cart. The customer is
/// charged the current prices; with `expectedTotal` only if they add up to that. Send an `Idempotency-Key`
/// to repeat the request safely.
#[utoipa::path(post, path = "/orders", tag = "orders", security(("bearer" = [])),
    params(
        ("Idempotency-Key" = inline(Option<IdempotencyKey>), Header,
            description = "1 to 255 visible characters, bare or as a quoted string"),
    ),
    request_body = Option<PlaceOrder>,
    responses(
        (status = 201, body = Order, headers(
            ("Location"),
            ("Idempotent-Replayed"),
        )),
        (status = 409, description = "`cart-empty`, `total-changed`, `total-out-of-range`, \
            `amount-too-small`, or `insufficient-stock` with an `errors` entry for each line item; nothing changed"),
        (status = 422, description = "`validation-failed`, `idempotency-key-reused`"),
    ))]
pub(crate) async fn place_order(
    axum::extract::State(app): State,
    Bearer(claims): Bearer,
    _: NoQuery,
    key: IdempotencyKey,
    request: Request,
) -> Result<StoredResponse> {
    let body = RawJson::<PlaceOrder>::optional(request).await?;
    let (prefetched_key, gateway) = (key.clone(), Arc::clone(&app.gateway));
    let prefetch = move |tx: &mut Tx<'_>, user| {
        let stored = prefetched_key.prefetch_lookup(tx, user)?;
        Ok((stored, NewOrder::prefetch(tx, &*gateway, user)?))
    };
    app.write_prefetched_as(
        &claims,
        "orders.place",
        prefetch,
        move |tx, current, (stored, new)| {
            key.replay_or(tx, stored, current.id, &body.raw, |tx| {
                created(&orders::place(tx, new, body.value.expected_total)?)
            })
        },
    )
    .await
}

fn created(order: &Order) -> Result<StoredResponse> {
    let location = format!("/api/v1/orders/{}", order.id);
    let body = respond::to_json(order)?;
    Ok(StoredResponse::new(StatusCode::CREATED, body).with_header(header::LOCATION, location))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListOwnOrders {
    /// Starts at 1.
    #[param(inline)]
    page: Option<PageNumber>,
    /// Defaults to 20.
    #[param(inline)]
    limit: Option<PageLimit>,
    /// Empty to start, then the previous `nextCursor`. Cannot be combined with `page`.
    #[serde(default, deserialize_with = "empty_is_set")]
    cursor: Option<String>,
    #[serde(default, deserialize_with = "super::status")]
    #[param(inline)]
    status: Option<Status>,
}

/// List your orders, newest first
///
/// With `cursor` the response has `data` and `nextCursor`, which is `null` on the last page.
#[utoipa::path(get, path = "/orders", tag = "orders", security(("bearer" = [])), params(ListOwnOrders),
    responses((status = 200, body = List<Order>)))]
pub(crate) async fn list_orders(
    axum::extract::State(app): State,
    Bearer(claims): Bearer,
    Query(query): Query<ListOwnOrders>,
    OriginalUri(uri): OriginalUri,
) -> Result<Response> {
    let own = Filters {
        status: query.status,
        ..Filters::default()
    };
    let request = ListRequest::new(
        query.page,
        query.limit,
        query.cursor.as_deref(),
        own.scope(),
        KeyType::Number,
    )?;
    let listed = app
        .read_as(&claims, "orders.list", move |tx, current| {
            let filters = Filters {
                user: Some(current.id),
                ..own
            };
            orders::list(tx, &filters, &request)
        })
        .await?;
    respond::list(uri.path(), uri.query(), &listed)
}

/// Get one of your orders
///
/// The orders of other customers are not found.
#[utoipa::path(get, path = "/orders/{id}", tag = "orders", security(("bearer" = [])),
    params(("id" = OrderId, Path)),
    responses((status = 200, body = Order)))]
pub(crate) async fn get_order(
    axum::extract::State(app): State,
    Bearer(claims): Bearer,
    Path(id): Path<OrderId>,
    _: NoQuery,
) -> Result<Response> {
    let order = app
        .read_as(&claims, "orders.order", move |tx, current| {
            orders::order(tx, id, Some(current.id))
        })
        .await?;
    respond::ok(&order)
}

/// Cancel an unpaid order and return its stock
///
/// Possible as long as the order is PENDING.
#[utoipa::path(post, path = "/orders/{id}/cancel", tag = "orders", security(("bearer" = [])),
    params(("id" = OrderId, Path)),
    responses(
        (status = 200, body = Order),
        (status = 409, description = "`illegal-transition`: no longer PENDING"),
    ))]
pub(crate) async fn cancel_order(
    axum::extract::State(app): State,
    Bearer(claims): Bearer,
    Path(id): Path<OrderId>,
    _: NoQuery,
) -> Result<Response> {
    let order = app
        .write_as(&claims, "orders.cancel", move |tx, current| {
            let order = orders::order(tx, id, Some(current.id))?;
            orders::transition(tx, &order, Status::Cancelled, Actor::Customer)
        })
        .await?;
    respond::ok(&order)
}
