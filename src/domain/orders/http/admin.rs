//! All orders, for admins.

use axum::{extract::OriginalUri, response::Response};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::{
    app::State,
    core::{
        clock::Timestamp,
        error::Result,
        id::{OrderId, UserId},
        pagination::{KeyType, List, ListRequest, PageLimit, PageNumber},
    },
    domain::{
        accounts::http::Admin,
        orders::{self, Actor, Filters, Order, Status},
    },
    infra::web::{
        extract::{Json, NoQuery, Path, Query, empty_is_set, timestamp},
        respond,
    },
};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(crate) struct ListOrders {
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
    #[param(inline)]
    user_id: Option<UserId>,
    /// Placed at or after this timestamp (RFC 3339).
    #[serde(default, deserialize_with = "timestamp")]
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Placed before this timestamp (RFC 3339).
    #[serde(default, deserialize_with = "timestamp")]
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
}

/// List all orders, newest first
///
/// For admins. The filters can be combined. The response has the form of `GET /orders`.
#[utoipa::path(get, path = "/admin/orders", tag = "orders", security(("bearer" = [])),
    params(ListOrders),
    responses((status = 200, body = List<Order>)))]
pub(crate) async fn list_all_orders(
    axum::extract::State(app): State,
    admin: Admin,
    Query(query): Query<ListOrders>,
    OriginalUri(uri): OriginalUri,
) -> Result<Response> {
    let filters = Filters {
        user: query.user_id,
        status: query.status,
        from: query.from,
        to: query.to,
    };
    let cursor = query.cursor.as_deref();
    let request = ListRequest::new(
        query.page,
        query.limit,
        cursor,
        filters.scope(),
        KeyType::Number,
    )?;
    let listed = app
        .long_read_as(&admin, "orders.list_all", move |tx, _| {
            orders::list(tx, &filters, &request)
        })
        .await?;
    respond::list(uri.path(), uri.query(), &listed)
}

/// Get any order
///
/// For admins: the order of any customer.
#[utoipa::path(get, path = "/admin/orders/{id}", tag = "orders", security(("bearer" = [])),
    params(("id" = OrderId, Path)),
    responses((status = 200, body = Order)))]
pub(crate) async fn get_any_order(
    axum::extract::State(app): State,
    admin: Admin,
    Path(id): Path<OrderId>,
    _: NoQuery,
) -> Result<Response> {
    let order = app
        .read_as(&admin, "orders.any_order", move |tx, _| {
            orders::order(tx, id, None)
        })
        .await?;
    respond::ok(&order)
}

/// The status to move an order to.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum NextStatus {
    Shipped,
    Delivered,
    Cancelled,
    /// Set by the payment provider only; always rejected here.
    Paid,
    /// Set by a full refund only; always rejected here.
    Refunded,
    /// The initial status; always rejected here.
    Pending,
}

#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateOrder {
    status: NextStatus,
}

/// Move an order to its next status
///
/// For admins: along `PENDING → CANCELLED`, `PAID → SHIPPED` and `SHIPPED → DELIVERED`. PAID is set by the
/// payment provider, and REFUNDED by a refund.
#[utoipa::path(patch, path = "/admin/orders/{id}", tag = "orders", security(("bearer" = [])),
    params(("id" = OrderId, Path)), request_body = UpdateOrder,
    responses(
        (status = 200, body = Order),
        (status = 409, description = "`illegal-transition`"),
    ))]
pub(crate) async fn update_order(
    axum::extract::State(app): State,
    admin: Admin,
    Path(id): Path<OrderId>,
    _: NoQuery,
    Json(body): Json<UpdateOrder>,
) -> Result<Response> {
    let next = match body.status {
        NextStatus::Shipped => Status::Shipped,
        NextStatus::Delivered => Status::Delivered,
        NextStatus::Cancelled => Status::Cancelled,
        NextStatus::Paid => Status::Paid,
        NextStatus::Refunded => Status::Refunded,
        NextStatus::Pending => Status::Pending,
    };
    let order = app
        .write_as(&admin, "orders.update", move |tx, _| {
            let current = orders::order(tx, id, None)?;
            orders::transition(tx, &current, next, Actor::Admin)
        })
        .await?;
    respond::ok(&order)
}
