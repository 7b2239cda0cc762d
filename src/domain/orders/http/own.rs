//! What customers do with their own orders.

use std::sync::Arc;

use axum::{
    extract::{OriginalUri, Request},
    response::Response,
};
use http::{StatusCode, header};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::status_of_query;
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
        orders::{self, Actor, Draft, Filters, Order, PaymentSession, Status, worker},
    },
    infra::web::{
        extract::{Bearer, NoQuery, Path, Query, RawJson, empty_is_set, present},
        idempotency::{self, Answer, IdempotencyKey},
        respond,
    },
};

#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct NewOrder {
    /// What the customer was shown; another sum is refused.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Money, required = false)]
    expected_total: Option<Money>,
}

/// Order what is in the cart
#[utoipa::path(post, path = "/orders", tag = "orders", security(("bearer" = [])),
    params(
        ("Idempotency-Key" = inline(Option<IdempotencyKey>), Header,
            description = "1 to 255 visible characters, bare or as a quoted string"),
    ),
    request_body = Option<NewOrder>,
    responses(
        (status = 201, body = Order, headers(
            ("Location"),
            ("Idempotent-Replayed", description = "`true` where the answer is given again"),
        )),
        (status = 409, description = "`cart-empty`, `total-changed`, `total-out-of-range`, \
            `amount-too-small`, or `insufficient-stock` with an `errors` entry for each line; nothing changed"),
        (status = 422, description = "`validation-failed`, `idempotency-key-reused`"),
    ))]
pub(crate) async fn place_order(
    axum::extract::State(app): State,
    Bearer(claims): Bearer,
    _: NoQuery,
    key: IdempotencyKey,
    request: Request,
) -> Result<Answer> {
    let body = RawJson::<NewOrder>::optional(request).await?;
    let shop = Arc::clone(&app);
    app.db
        .write("orders.place", move |tx| {
            let mut draft = Draft::new(tx, &shop);
            let expected = body.value.expected_total;
            if key.is_none() {
                match orders::place_at_once(tx, &shop, &claims, draft, expected)? {
                    Ok(order) => return placed(&order),
                    Err(unused) => draft = unused,
                }
            }
            let visitor = accounts::authenticate(tx, &claims)?;
            idempotency::once(tx, &key, visitor.user, &body.raw, |tx| {
                placed(&orders::place(tx, &shop, visitor.user, draft, expected)?)
            })
        })
        .await
}

fn placed(order: &Order) -> Result<Answer> {
    let location = format!("/api/v1/orders/{}", order.id);
    let body = respond::to_json(order)?;
    Ok(Answer::new(StatusCode::CREATED, body).with_header(header::LOCATION, location))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct OwnQuery {
    /// From 1.
    #[param(inline)]
    page: Option<PageNumber>,
    /// 20 if not given.
    #[param(inline)]
    limit: Option<PageLimit>,
    /// Empty to begin a walk, then what `nextCursor` said; not with `page`.
    #[serde(default, deserialize_with = "empty_is_set")]
    cursor: Option<String>,
    #[param(value_type = Option<Status>, inline)]
    status: Option<String>,
}

/// The own orders, newest first
#[utoipa::path(get, path = "/orders", tag = "orders", security(("bearer" = [])), params(OwnQuery),
    responses((status = 200, body = List<Order>)))]
pub(crate) async fn list_orders(
    axum::extract::State(app): State,
    Bearer(claims): Bearer,
    Query(query): Query<OwnQuery>,
    OriginalUri(uri): OriginalUri,
) -> Result<Response> {
    let status = query.status.as_deref().map(status_of_query).transpose()?;
    let own = Filters {
        status,
        ..Filters::default()
    };
    let part = ListRequest::new(
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
            let visitor = accounts::authenticate(tx, &claims)?;
            let filters = Filters {
                user: Some(visitor.user),
                ..own
            };
            orders::list(tx, &shop, &filters, &part)
        })
        .await?;
    respond::list(uri.path(), uri.query(), &listed)
}

/// One of the own orders
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
            let visitor = accounts::authenticate(tx, &claims)?;
            orders::order(tx, &shop, id, Some(visitor.user))
        })
        .await?;
    respond::ok(&order)
}

/// What the provider's checkout has to be opened with
///
/// The provider's order is made now if the provider was down before.
#[utoipa::path(post, path = "/orders/{id}/pay", tag = "orders", security(("bearer" = [])),
    params(("id" = OrderId, Path)),
    responses(
        (status = 200, body = PaymentSession),
        (status = 409, description = "`illegal-transition`: not PENDING any more; `amount-too-small`: \
            less than the provider takes, which was another one when it was ordered"),
        (status = 503, description = "`unavailable`: the provider is down"),
    ))]
pub(crate) async fn pay_order(
    axum::extract::State(app): State,
    Bearer(claims): Bearer,
    Path(id): Path<OrderId>,
    _: NoQuery,
) -> Result<Response> {
    let shop = Arc::clone(&app);
    let (amount, known) = app
        .db
        .read("orders.payment_session", move |tx| {
            let visitor = accounts::authenticate(tx, &claims)?;
            let order = orders::order(tx, &shop, id, Some(visitor.user))?;
            Ok((
                order.payment.amount,
                orders::payment_session(&shop, &order)?,
            ))
        })
        .await?;
    let checkout = match known {
        Some(checkout) => checkout,
        None => worker::create_gateway_order(&app, id, amount).await?,
    };
    respond::ok(&checkout)
}

/// Cancel an order that is not paid yet; its stock goes back
#[utoipa::path(post, path = "/orders/{id}/cancel", tag = "orders", security(("bearer" = [])),
    params(("id" = OrderId, Path)),
    responses(
        (status = 200, body = Order),
        (status = 409, description = "`illegal-transition`: not PENDING any more"),
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
            let visitor = accounts::authenticate(tx, &claims)?;
            let current = orders::order(tx, &shop, id, Some(visitor.user))?;
            orders::transition(tx, &shop, &current, Status::Cancelled, Actor::Customer)
        })
        .await?;
    respond::ok(&order)
}
