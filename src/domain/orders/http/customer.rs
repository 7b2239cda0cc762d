//! The customer's own orders.

use std::sync::Arc;

use axum::{
    extract::{OriginalUri, Request},
    response::Response,
};
use http::{StatusCode, header};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::parse_status;
use crate::{
    app::State,
    core::{
        error::Result,
        id::OrderId,
        money::Money,
        pagination::{KeyType, List, ListRequest, PageLimit, PageNumber},
    },
    domain::{
        accounts,
        orders::{self, Actor, Filters, NewOrder, Order, Status},
    },
    infra::web::{
        extract::{Bearer, NoQuery, Path, Query, RawJson, empty_is_set, present},
        idempotency::{IdempotencyKey, StoredResponse},
        respond,
    },
};

#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct PlaceOrder {
    /// The total that the customer saw. A different total is refused.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Money, required = false)]
    expected_total: Option<Money>,
}

/// Place an order for the cart
#[utoipa::path(post, path = "/orders", tag = "orders", security(("bearer" = [])),
    params(
        ("Idempotency-Key" = inline(Option<IdempotencyKey>), Header,
            description = "1 to 255 visible characters, bare or as a quoted string"),
    ),
    request_body = Option<PlaceOrder>,
    responses(
        (status = 201, body = Order, headers(
            ("Location"),
            ("Idempotent-Replayed", description = "`true` if this response is a replay"),
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
    let shop = Arc::clone(&app);
    app.db
        .write("orders.place", move |tx| {
            let user = accounts::queue_authentication(tx, &claims)?;
            let stored = key.look_up(tx, claims.sub)?;
            let new = NewOrder::queue(tx, &shop, claims.sub)?;
            let user = accounts::authenticated(tx, user)?.user;
            key.replay_or(tx, stored, user, &body.raw, |tx| {
                created(&orders::place(tx, &shop, new, body.value.expected_total)?)
            })
        })
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
    #[param(value_type = Option<Status>, inline)]
    status: Option<String>,
}

/// List own orders, newest first
#[utoipa::path(get, path = "/orders", tag = "orders", security(("bearer" = [])), params(ListOwnOrders),
    responses((status = 200, body = List<Order>)))]
pub(crate) async fn list_orders(
    axum::extract::State(app): State,
    Bearer(claims): Bearer,
    Query(query): Query<ListOwnOrders>,
    OriginalUri(uri): OriginalUri,
) -> Result<Response> {
    let status = query.status.as_deref().map(parse_status).transpose()?;
    let own = Filters {
        status,
        ..Filters::default()
    };
    let request = ListRequest::new(
        query.page,
        query.limit,
        query.cursor.as_deref(),
        own.scope(),
        KeyType::Number,
    )?;
    let shop = Arc::clone(&app);
    let listed = app
        .db
        .read("orders.list", move |tx| {
            let user = accounts::authenticate(tx, &claims)?.user;
            let filters = Filters {
                user: Some(user),
                ..own
            };
            orders::list(tx, &shop, &filters, &request)
        })
        .await?;
    respond::list(uri.path(), uri.query(), &listed)
}

/// Get one of the own orders
#[utoipa::path(get, path = "/orders/{id}", tag = "orders", security(("bearer" = [])),
    params(("id" = OrderId, Path)),
    responses((status = 200, body = Order)))]
pub(crate) async fn get_order(
    axum::extract::State(app): State,
    Bearer(claims): Bearer,
    Path(id): Path<OrderId>,
    _: NoQuery,
) -> Result<Response> {
    let shop = Arc::clone(&app);
    let order = app
        .db
        .read("orders.order", move |tx| {
            let user = accounts::authenticate(tx, &claims)?.user;
            orders::order(tx, &shop, id, Some(user))
        })
        .await?;
    respond::ok(&order)
}

/// Cancel an unpaid order and return its stock
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
    let shop = Arc::clone(&app);
    let order = app
        .db
        .write("orders.cancel", move |tx| {
            let user = accounts::authenticate(tx, &claims)?.user;
            let current = orders::order(tx, &shop, id, Some(user))?;
            orders::transition(tx, &shop, &current, Status::Cancelled, Actor::Customer)
        })
        .await?;
    respond::ok(&order)
}
