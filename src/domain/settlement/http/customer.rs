//! The payment route of customers.

use std::sync::Arc;

use axum::response::Response;

use crate::{
    app::{App, State},
    core::{
        error::{Error, Result},
        id::OrderId,
        money::Money,
    },
    domain::{
        orders,
        settlement::{
            PaymentSession, payment_session,
            provider_order::{create_provider_order, record_provider_order},
        },
    },
    infra::web::{
        extract::{Bearer, NoQuery, Path},
        respond,
    },
};

/// Get the parameters of the provider's payment page
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
            let order = orders::order(tx, id, Some(current.id))?;
            let session = payment_session(&*gateway, &order)?;
            Ok((order.payment.amount, session))
        })
        .await?;
    let session = match session {
        Some(session) => session,
        None => create_payment_session(&app, id, amount).await?,
    };
    respond::ok(&session)
}

/// Creates the order at the provider, and returns its payment session.
///
/// Errors: `unavailable` if the provider cannot be reached; `illegal-transition` if the order is no longer PENDING.
async fn create_payment_session(app: &App, id: OrderId, amount: Money) -> Result<PaymentSession> {
    let down = || Error::unavailable("the payment provider cannot be reached; try again");
    let created = create_provider_order(&*app.gateway, app.settings(), id, amount)
        .await
        .map_err(|error| down().caused_by(error.into_reason()))?;
    let gateway = Arc::clone(&app.gateway);
    let session = app
        .db
        .write("payments.record_order", move |tx| {
            record_provider_order(tx, &*gateway, id, &created)?;
            payment_session(&*gateway, &orders::order(tx, id, None)?)
        })
        .await?;
    session.ok_or_else(down)
}
