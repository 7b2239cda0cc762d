//! How customers pay.

use std::sync::Arc;

use axum::response::Response;

use crate::{
    app::State,
    core::{error::Result, id::OrderId},
    domain::{
        orders,
        settlement::{self, PaymentSession},
    },
    infra::web::{
        extract::{Bearer, NoQuery, Path},
        respond,
    },
};

/// Get what opens the provider's checkout
///
/// Creates the order at the provider if that has not succeeded before.
#[utoipa::path(post, path = "/orders/{id}/pay", tag = "orders", security(("bearer" = [])),
    params(("id" = OrderId, Path)),
    responses(
        (status = 200, body = PaymentSession),
        (status = 409, description = "`illegal-transition`: no longer PENDING; `amount-too-small`: \
            below the minimum of the provider, which has changed since the order was placed"),
        (status = 503, description = "`unavailable`: the provider cannot be reached"),
    ))]
pub(crate) async fn pay_order(
    axum::extract::State(app): State,
    Bearer(claims): Bearer,
    Path(id): Path<OrderId>,
    _: NoQuery,
) -> Result<Response> {
    let gateway = Arc::clone(&app.gateway);
    let (amount, session) = app
        .read_as(&claims, "orders.payment_session", move |tx, current| {
            let order = orders::order(tx, id, Some(current.user))?;
            let session = settlement::payment_session(&*gateway, &order)?;
            Ok((order.payment.amount, session))
        })
        .await?;
    let session = match session {
        Some(session) => session,
        None => settlement::create_gateway_order(&app, id, amount).await?,
    };
    respond::ok(&session)
}
