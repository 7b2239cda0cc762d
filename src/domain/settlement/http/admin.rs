//! The refund route of admins.

use std::sync::Arc;

use axum::extract::Request;
use http::StatusCode;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    app::State,
    core::{error::Result, id::OrderId, money::Amount},
    domain::{accounts::http::Admin, orders::Order, settlement},
    infra::web::{
        extract::{NoQuery, Path, RawJson, deserialize_some},
        idempotency::{IdempotencyKey, StoredResponse},
        respond,
    },
};

#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RefundOrder {
    /// Defaults to all that can still be refunded.
    #[serde(default, deserialize_with = "deserialize_some")]
    #[schema(value_type = Amount, required = false)]
    amount: Option<Amount>,
    /// Returns the stock, once, when the order is refunded in full.
    #[serde(default)]
    restock: bool,
}

/// Refund an order
///
/// For admins. The order becomes REFUNDED once all of its money is refunded.
#[utoipa::path(post, path = "/admin/orders/{id}/refund", tag = "orders",
    security(("bearer" = [])),
    params(
        ("id" = OrderId, Path),
        ("Idempotency-Key" = inline(Option<IdempotencyKey>), Header,
            description = "1 to 255 visible characters, bare or as a quoted string"),
    ),
    request_body = Option<RefundOrder>,
    responses(
        (status = 200, body = Order, headers(
            ("Idempotent-Replayed"),
        )),
        (status = 409, description = "`refund-exceeds-captured`: more than can be refunded; \
            `amount-too-small`: below the minimum of the provider"),
        (status = 422, description = "`validation-failed`, `idempotency-key-reused`"),
    ))]
pub(crate) async fn refund_order(
    axum::extract::State(app): State,
    admin: Admin,
    Path(id): Path<OrderId>,
    _: NoQuery,
    key: IdempotencyKey,
    request: Request,
) -> Result<StoredResponse> {
    let RawJson { value, raw } = RawJson::<RefundOrder>::optional(request).await?;
    let RefundOrder { amount, restock } = value;
    let gateway = Arc::clone(&app.gateway);
    app.write_once_as(&admin, "orders.refund", (key, raw), move |tx| {
        let order = settlement::refund(tx, &*gateway, id, amount, restock)?;
        Ok(StoredResponse::new(
            StatusCode::OK,
            respond::to_json(&order)?,
        ))
    })
    .await
}
