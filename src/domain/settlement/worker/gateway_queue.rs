//! Sends queued requests to the provider: orders to create and refunds. The provider is called between
//! transactions; one leases the request, the next records the result.

use std::sync::Arc;

use futures_util::future::{join, join_all};

use crate::{
    app::App,
    core::{
        error::{Error, Result},
        id::OrderId,
        money::Money,
    },
    domain::{
        orders::{self, Status},
        payments::{QueuedOrder, QueuedRefund, gateway_queue},
        settlement::{PaymentSession, apply::apply, payment_session},
    },
    infra::ports::gateway::{GatewayError, GatewayRefundStatus, OrderRequest, RefundRequest},
};

/// How many orders, and how many refunds, are sent concurrently.
const CONCURRENCY: i64 = 8;

/// Sends all requests that are due. Returns how many were attempted.
pub async fn run_gateway_queue(app: &Arc<App>) -> Result<usize> {
    let provider = app.gateway.name();
    let mut attempted = 0;
    while !app.stopping.is_cancelled()
        && app
            .db
            .read("payments.has_due", move |tx| {
                gateway_queue::has_due(tx, provider)
            })
            .await?
    {
        let (orders, refunds) = app
            .db
            .write("payments.claim", move |tx| {
                let orders = gateway_queue::claim_orders(tx, provider, CONCURRENCY)?;
                Ok((
                    orders,
                    gateway_queue::claim_refunds(tx, provider, CONCURRENCY)?,
                ))
            })
            .await?;
        attempted += orders.len() + refunds.len();
        let orders = join_all(orders.into_iter().map(|queued| create_order(app, queued)));
        let refunds = join_all(refunds.into_iter().map(|queued| send_refund(app, queued)));
        let (orders, refunds) = join(orders, refunds).await;
        orders.into_iter().chain(refunds).collect::<Result<()>>()?;
    }
    Ok(attempted)
}

/// Creates an order at the provider, if it is still unpaid.
async fn create_order(app: &Arc<App>, queued: QueuedOrder) -> Result<()> {
    let id = queued.order;
    let is_pending = app
        .db
        .read("orders.is_pending", move |tx| {
            Ok(orders::order(tx, id, None)?.status == Status::Pending)
        })
        .await?;
    if !is_pending {
        return app
            .db
            .write("payments.cancel_order", move |tx| {
                gateway_queue::cancel_order(tx, id)
            })
            .await;
    }
    match send_order(app, id, queued.amount).await {
        Ok(provider_order_id) => record_order(app, id, provider_order_id).await.map(drop),
        Err(error) => {
            let (order, attempts, reason) = (id, queued.attempts, error.into_reason());
            tracing::warn!(%order, attempts, reason, "could not create the order at the provider; retrying");
            app.db
                .write("payments.reschedule_order", move |tx| {
                    gateway_queue::reschedule_order(tx, &queued, &reason)
                })
                .await
        }
    }
}

async fn send_order(app: &App, id: OrderId, amount: Money) -> Result<String, GatewayError> {
    let request = OrderRequest {
        amount,
        currency: app.config.currency.code(),
        receipt: id.to_string(),
    };
    app.gateway.create_order(&request).await
}

/// Records the provider's id of an order; if two were created concurrently, the first one is kept.
async fn record_order(
    app: &Arc<App>,
    id: OrderId,
    provider_order_id: String,
) -> Result<Option<PaymentSession>> {
    let shop = Arc::clone(app);
    app.db
        .write("payments.record_order", move |tx| {
            let effects = gateway_queue::record_order(tx, &shop, id, &provider_order_id)?;
            apply(tx, &shop, &effects)?;
            payment_session(&shop, &orders::order(tx, id, None)?)
        })
        .await
}

/// Creates an order at the provider that a customer wants to pay now.
///
/// Errors: `unavailable`.
pub async fn create_gateway_order(
    app: &Arc<App>,
    id: OrderId,
    amount: Money,
) -> Result<PaymentSession> {
    let down = || Error::unavailable("the payment provider cannot be reached; try again");
    let created = send_order(app, id, amount)
        .await
        .map_err(|error| down().caused_by(error.into_reason()))?;
    record_order(app, id, created).await?.ok_or_else(down)
}

/// Sends a refund under an idempotency key, so that it happens once, however often it is sent.
async fn send_refund(app: &Arc<App>, queued: QueuedRefund) -> Result<()> {
    let request = RefundRequest {
        payment_id: queued.transaction_id.clone(),
        amount: queued.amount,
        key: queued.refund.to_string(),
    };
    let answer = app.gateway.create_refund(&request).await;
    if let Err(error) = &answer {
        let (refund, attempts, reason) = (queued.refund, queued.attempts, error.reason());
        if error.is_permanent() {
            tracing::error!(%refund, attempts, reason, "the payment provider refused a refund");
        } else {
            tracing::warn!(%refund, attempts, reason, "could not send a refund; retrying");
        }
    }
    let shop = Arc::clone(app);
    app.db
        .write("payments.record_refund", move |tx| match &answer {
            Ok(created) => {
                let succeeded = match created.status {
                    GatewayRefundStatus::Pending => None,
                    GatewayRefundStatus::Processed => Some(true),
                    GatewayRefundStatus::Failed => Some(false),
                };
                let effect = gateway_queue::record_refund(tx, &queued, &created.id, succeeded)?;
                apply(tx, &shop, &[effect])
            }
            Err(error) => {
                let is_permanent = error.is_permanent();
                gateway_queue::reschedule_refund(tx, &queued, is_permanent, error.reason())
            }
        })
        .await
}
