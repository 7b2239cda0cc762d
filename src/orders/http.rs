//! The routes of orders, and the webhook that moves them.

use std::sync::Arc;

use axum::{
    extract::{OriginalUri, Request},
    response::Response,
};
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::{Draft, Filters, Mover, Order, Status};
use crate::{
    accounts::{self, http::Admin},
    clock::Timestamp,
    error::{Error, Kind, Result},
    id::{OrderId, UserId},
    money::Money,
    page::{Listing, Part},
    payments::{Delivery, signature},
    web::{
        Routes, State,
        extract::{Bearer, Json, NoQuery, Path, Query, RawJson, read_body},
        idempotency::{self, Answer, IdempotencyKey},
        respond,
    },
};

pub fn routes() -> Routes {
    Routes::new()
        .routes(routes!(list_orders, place_order))
        .routes(routes!(get_order))
        .routes(routes!(cancel_order))
        .routes(routes!(list_all_orders))
        .routes(routes!(get_any_order, update_order))
        .routes(routes!(receive_webhook))
}

#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Checkout {
    /// What the customer was shown; another sum is refused.
    expected_total: Option<Money>,
}

/// Order what is in the cart
#[utoipa::path(post, path = "/orders", tag = "orders", security(("bearer" = [])),
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible characters"),
    ),
    request_body = Option<Checkout>,
    responses(
        (status = 201, body = Order, headers(
            ("Location"),
            ("Idempotent-Replayed", description = "`true` where the answer is given again"),
        )),
        (status = 409, description = "`cart-empty`, `total-changed`, or `insufficient-stock` with \
            an `errors` entry for each line; nothing changed"),
        (status = 422, description = "`validation-failed`, `idempotency-key-reused`"),
    ))]
pub(crate) async fn place_order(
    axum::extract::State(app): State,
    Bearer(claims): Bearer,
    _: NoQuery,
    key: IdempotencyKey,
    request: Request,
) -> Result<Answer> {
    let body = RawJson::<Checkout>::optional(request).await?;
    let shop = Arc::clone(&app);
    app.db
        .write("orders.place", move |tx| {
            let mut draft = Draft::new(tx, &shop);
            let expected = body.value.expected_total;
            if key.is_none() {
                match super::place_at_once(tx, &shop, &claims, draft, expected)? {
                    Ok(order) => return placed(&order),
                    Err(unused) => draft = unused,
                }
            }
            let visitor = accounts::visitor(tx, &claims)?;
            idempotency::once(tx, &key, visitor.user, &body.raw, |tx| {
                placed(&super::place(tx, &shop, visitor.user, draft, expected)?)
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
    #[param(minimum = 1)]
    page: Option<i64>,
    /// 1 to 100; 20 if not given.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// Empty to begin a walk, then what `nextCursor` said; not with `page`.
    cursor: Option<String>,
    /// `PENDING`, `PAID`, `SHIPPED`, `DELIVERED`, `CANCELLED` or `REFUNDED`.
    status: Option<String>,
}

/// The own orders, newest first
#[utoipa::path(get, path = "/orders", tag = "orders", security(("bearer" = [])), params(OwnQuery),
    responses((status = 200, body = Listing<Order>)))]
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
    let part = Part::new(
        query.page,
        query.limit,
        query.cursor.as_deref(),
        own.scope(),
    )?;
    let shop = Arc::clone(&app);
    let listed = app
        .db
        .read("orders.list", move |tx| {
            let visitor = accounts::visitor(tx, &claims)?;
            let filters = Filters {
                user: Some(visitor.user),
                ..own
            };
            super::list(tx, &shop, &filters, &part)
        })
        .await?;
    respond::listing(uri.path(), uri.query(), &listed)
}

fn status_of_query(text: &str) -> Result<Status> {
    Status::parse(text).ok_or_else(|| {
        let names: Vec<_> = Status::ALL
            .iter()
            .map(|s| format!("`{}`", s.as_str()))
            .collect();
        Error::new(
            Kind::InvalidQuery,
            format!("`status` must be one of {}", names.join(", ")),
        )
    })
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
            let visitor = accounts::visitor(tx, &claims)?;
            super::order(tx, &shop, id, Some(visitor.user))
        })
        .await?;
    respond::ok(&order)
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
            let visitor = accounts::visitor(tx, &claims)?;
            let current = super::order(tx, &shop, id, Some(visitor.user))?;
            super::advance(tx, &shop, &current, Status::Cancelled, Mover::Customer)
        })
        .await?;
    respond::ok(&order)
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct AllQuery {
    /// From 1.
    #[param(minimum = 1)]
    page: Option<i64>,
    /// 1 to 100; 20 if not given.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// Empty to begin a walk, then what `nextCursor` said; not with `page`.
    cursor: Option<String>,
    /// `PENDING`, `PAID`, `SHIPPED`, `DELIVERED`, `CANCELLED` or `REFUNDED`.
    status: Option<String>,
    #[param(value_type = Option<UserId>)]
    user_id: Option<UserId>,
    /// Placed at or after this moment (RFC 3339).
    #[param(format = DateTime)]
    from: Option<String>,
    /// Placed before this moment (RFC 3339).
    #[param(format = DateTime)]
    to: Option<String>,
}

/// All orders, newest first
#[utoipa::path(get, path = "/admin/orders", tag = "orders", security(("bearer" = [])),
    params(AllQuery),
    responses((status = 200, body = Listing<Order>)))]
pub(crate) async fn list_all_orders(
    axum::extract::State(app): State,
    Admin(claims): Admin,
    Query(query): Query<AllQuery>,
    OriginalUri(uri): OriginalUri,
) -> Result<Response> {
    let filters = Filters {
        user: query.user_id,
        status: query.status.as_deref().map(status_of_query).transpose()?,
        from: query
            .from
            .as_deref()
            .map(|text| moment("from", text))
            .transpose()?,
        to: query
            .to
            .as_deref()
            .map(|text| moment("to", text))
            .transpose()?,
    };
    let cursor = query.cursor.as_deref();
    let part = Part::new(query.page, query.limit, cursor, filters.scope())?;
    let shop = Arc::clone(&app);
    let listed = app
        .db
        .scan("orders.list_all", move |tx| {
            accounts::admin(tx, &claims)?;
            super::list(tx, &shop, &filters, &part)
        })
        .await?;
    respond::listing(uri.path(), uri.query(), &listed)
}

fn moment(name: &str, text: &str) -> Result<Timestamp> {
    text.parse::<jiff::Timestamp>()
        .map(|moment| Timestamp(moment.as_millisecond()))
        .map_err(|_| {
            let detail = format!("`{name}` must be a moment, as `2026-01-31T18:00:00Z`");
            Error::new(Kind::InvalidQuery, detail)
        })
}

/// Any order
#[utoipa::path(get, path = "/admin/orders/{id}", tag = "orders", security(("bearer" = [])),
    params(("id" = OrderId, Path)),
    responses((status = 200, body = Order)))]
pub(crate) async fn get_any_order(
    axum::extract::State(app): State,
    Admin(claims): Admin,
    Path(id): Path<OrderId>,
    _: NoQuery,
) -> Result<Response> {
    let shop = Arc::clone(&app);
    let order = app
        .db
        .read("orders.any_order", move |tx| {
            accounts::admin(tx, &claims)?;
            super::order(tx, &shop, id, None)
        })
        .await?;
    respond::ok(&order)
}

/// Where an admin may move an order.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum NextStatus {
    Shipped,
    Delivered,
    Cancelled,
    /// Comes from the provider only: always refused.
    Paid,
    /// Comes from the refund call only: always refused.
    Refunded,
    /// Never comes again: always refused.
    Pending,
}

#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OrderChange {
    status: NextStatus,
}

/// Move an order along the arrows
#[utoipa::path(patch, path = "/admin/orders/{id}", tag = "orders", security(("bearer" = [])),
    params(("id" = OrderId, Path)), request_body = OrderChange,
    responses(
        (status = 200, body = Order),
        (status = 409, description = "`illegal-transition`"),
    ))]
pub(crate) async fn update_order(
    axum::extract::State(app): State,
    Admin(claims): Admin,
    Path(id): Path<OrderId>,
    _: NoQuery,
    Json(body): Json<OrderChange>,
) -> Result<Response> {
    let next = match body.status {
        NextStatus::Shipped => Status::Shipped,
        NextStatus::Delivered => Status::Delivered,
        NextStatus::Cancelled => Status::Cancelled,
        NextStatus::Paid => Status::Paid,
        NextStatus::Refunded => Status::Refunded,
        NextStatus::Pending => Status::Pending,
    };
    let shop = Arc::clone(&app);
    let order = app
        .db
        .write("orders.update", move |tx| {
            accounts::admin(tx, &claims)?;
            let current = super::order(tx, &shop, id, None)?;
            super::advance(tx, &shop, &current, next, Mover::Admin)
        })
        .await?;
    respond::ok(&order)
}

/// How large a webhook's body may be, in bytes.
const WEBHOOK_LIMIT: usize = 1024 * 1024;

const SIGNATURE: &str = "x-razorpay-signature";
const EVENT_ID: &str = "x-razorpay-event-id";

/// Take in what the payment provider tells
///
/// Razorpay's own format, any content type, up to 1 MiB. Whatever is rightly signed is stored and
/// answered 200: repeats, unknown events and unreadable bodies too.
#[utoipa::path(post, path = "/payments/razorpay/webhook", tag = "payments",
    params(
        ("X-Razorpay-Signature" = String, Header,
            description = "Hex HMAC-SHA256 of the raw body under the webhook's secret"),
        ("X-Razorpay-Event-Id" = Option<String>, Header, description = "Makes a repeat known"),
    ),
    request_body(content = Object, description = "Razorpay's envelope"),
    responses(
        (status = 200, description = "Stored"),
        (status = 401, description = "`invalid-signature`: nothing changed"),
    ))]
pub(crate) async fn receive_webhook(
    axum::extract::State(app): State,
    request: Request,
) -> Result<StatusCode> {
    let headers = request.headers().clone();
    let body = read_body(request.into_body(), WEBHOOK_LIMIT).await?;
    let signed = only(&headers, SIGNATURE)
        .is_some_and(|given| signature::is_valid(&app.webhook_secrets, &body, given));
    if !signed {
        let detail = "`X-Razorpay-Signature` is missing or does not sign this body";
        return Err(Error::new(Kind::Unauthorized("invalid-signature"), detail));
    }
    let event_id = only(&headers, EVENT_ID).map(|id| String::from_utf8_lossy(id).into_owned());
    let delivery = Delivery { event_id, body };
    let shop = Arc::clone(&app);
    app.db
        .write("orders.receive_payment", move |tx| {
            super::receive_payment(tx, &shop, &delivery)
        })
        .await?;
    Ok(StatusCode::OK)
}

/// The value of a header that stands exactly once.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value.as_bytes()),
        _ => None,
    }
}
