//! What admins do with all orders.

use std::sync::Arc;

use axum::{
    extract::{OriginalUri, Request},
    response::Response,
};
use http::StatusCode;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::status_of_query;
use crate::{
    app::State,
    core::{
        clock::Timestamp,
        error::{Error, Kind, Result},
        id::{OrderId, UserId},
        money::Amount,
        pagination::{KeyType, List, ListRequest, PageLimit, PageNumber},
    },
    domain::{
        accounts::{self, http::Admin},
        orders::{self, Actor, Filters, Order, Status},
    },
    infra::web::{
        extract::{Json, NoQuery, Path, Query, RawJson, empty_is_set, present},
        idempotency::{self, Answer, IdempotencyKey},
        respond,
    },
};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct AllQuery {
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
    #[param(inline)]
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
    responses((status = 200, body = List<Order>)))]
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
    let part = ListRequest::new(
        query.page,
        query.limit,
        cursor,
        filters.scope(),
        KeyType::Number,
    )?;
    let shop = Arc::clone(&app);
    let listed = app
        .db
        .long_read("orders.list_all", move |tx| {
            accounts::require_admin(tx, &claims)?;
            orders::list(tx, &shop, &filters, &part)
        })
        .await?;
    respond::list(uri.path(), uri.query(), &listed)
}

fn moment(name: &str, text: &str) -> Result<Timestamp> {
    text.parse().map_err(|_| {
        let detail = format!("`{name}` must be an RFC 3339 timestamp, e.g. `2026-01-31T18:00:00Z`");
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
            accounts::require_admin(tx, &claims)?;
            orders::order(tx, &shop, id, None)
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
            accounts::require_admin(tx, &claims)?;
            let current = orders::order(tx, &shop, id, None)?;
            orders::transition(tx, &shop, &current, next, Actor::Admin)
        })
        .await?;
    respond::ok(&order)
}

#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRefund {
    /// All that is left if none is named.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Amount, required = false)]
    amount: Option<Amount>,
    /// Puts the stock back with the refund that completes it, once.
    #[serde(default)]
    restock: bool,
}

/// Give money back
///
/// The order becomes REFUNDED once all of its money has gone back.
#[utoipa::path(post, path = "/admin/orders/{id}/refund", tag = "orders",
    security(("bearer" = [])),
    params(
        ("id" = OrderId, Path),
        ("Idempotency-Key" = inline(Option<IdempotencyKey>), Header,
            description = "1 to 255 visible characters, bare or as a quoted string"),
    ),
    request_body = Option<NewRefund>,
    responses(
        (status = 200, body = Order, headers(
            ("Idempotent-Replayed", description = "`true` where the answer is given again"),
        )),
        (status = 409, description = "`refund-exceeds-captured`: more than is left; \
            `amount-too-small`: less than the provider gives back"),
        (status = 422, description = "`validation-failed`, `idempotency-key-reused`"),
    ))]
pub(crate) async fn refund_order(
    axum::extract::State(app): State,
    Admin(claims): Admin,
    Path(id): Path<OrderId>,
    _: NoQuery,
    key: IdempotencyKey,
    request: Request,
) -> Result<Answer> {
    let body = RawJson::<NewRefund>::optional(request).await?;
    let shop = Arc::clone(&app);
    app.db
        .write("orders.refund", move |tx| {
            let admin = accounts::require_admin(tx, &claims)?;
            idempotency::once(tx, &key, admin.user, &body.raw, |tx| {
                let NewRefund { amount, restock } = body.value;
                let order = orders::refund(tx, &shop, id, amount, restock)?;
                Ok(Answer::new(StatusCode::OK, respond::to_json(&order)?))
            })
        })
        .await
}
