//! Sends queued requests to the provider: orders to create and refunds.

use std::sync::Arc;

use crate::{
    app::App,
    core::{
        error::{Error, Result},
        id::{OrderId, RefundId},
        money::Money,
    },
    domain::{
        orders::{self, Status},
        payments::{self, CREATE_ORDER, QueuedRefund, SEND_REFUND, gateway_queue},
        settlement::{PaymentSession, apply::apply, payment_session},
    },
    infra::{
        db::Tx,
        jobs::{Failure, Handler, Job, JobState, Queue},
        ports::gateway::{
            GatewayError, GatewayRefund, GatewayRefundStatus, OrderRequest, RefundRequest,
        },
    },
};

/// Creates orders at the provider.
pub struct CreateOrder(pub Arc<App>);

impl Handler for CreateOrder {
    /// The amount of the order.
    type Input = Money;
    /// The provider's id of the order.
    type Output = String;

    fn queue(&self) -> Queue {
        payments::queue(CREATE_ORDER, self.0.gateway.name())
    }

    /// Only an unpaid order is created.
    fn load(&self, tx: &mut Tx<'_>, job: &Job) -> Result<Option<Money>> {
        let order = orders::order(tx, OrderId(job.subject), None)?;
        Ok((order.status == Status::Pending).then_some(order.payment.amount))
    }

    async fn attempt(&self, job: &Job, amount: &Money) -> Result<String, Failure> {
        let created = send_order(&self.0, OrderId(job.subject), *amount).await;
        created.map_err(|error| Failure {
            is_permanent: false,
            why: error.into_reason(),
        })
    }

    fn succeed(&self, tx: &mut Tx<'_>, job: &Job, _amount: &Money, id: &String) -> Result<()> {
        let gateway = &*self.0.gateway;
        let effects = gateway_queue::record_order(tx, gateway, OrderId(job.subject), id)?;
        apply(tx, gateway, &effects)
    }
}

/// Sends refunds under an idempotency key each, so that a refund happens once, however often it is sent.
pub struct SendRefund(pub Arc<App>);

impl Handler for SendRefund {
    type Input = QueuedRefund;
    type Output = GatewayRefund;

    fn queue(&self) -> Queue {
        payments::queue(SEND_REFUND, self.0.gateway.name())
    }

    fn load(&self, tx: &mut Tx<'_>, job: &Job) -> Result<Option<QueuedRefund>> {
        gateway_queue::queued_refund(tx, RefundId(job.subject))
    }

    async fn attempt(&self, _job: &Job, queued: &QueuedRefund) -> Result<GatewayRefund, Failure> {
        let request = RefundRequest {
            payment_id: queued.transaction_id.clone(),
            amount: queued.amount,
            key: queued.refund.to_string(),
        };
        let sent = self.0.gateway.create_refund(&request).await;
        sent.map_err(|error| Failure {
            is_permanent: error.is_permanent(),
            why: error.into_reason(),
        })
    }

    fn succeed(
        &self,
        tx: &mut Tx<'_>,
        _job: &Job,
        queued: &QueuedRefund,
        created: &GatewayRefund,
    ) -> Result<()> {
        let succeeded = match created.status {
            GatewayRefundStatus::Pending => None,
            GatewayRefundStatus::Processed => Some(true),
            GatewayRefundStatus::Failed => Some(false),
        };
        let effect = gateway_queue::record_refund(tx, queued, &created.id, succeeded)?;
        apply(tx, &*self.0.gateway, &[effect])
    }

    fn fail(
        &self,
        tx: &mut Tx<'_>,
        job: &Job,
        queued: &QueuedRefund,
        failure: &Failure,
    ) -> Result<JobState> {
        gateway_queue::record_refund_failure(tx, &self.queue(), job, queued, failure)
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
    app: &App,
    id: OrderId,
    provider_order_id: String,
) -> Result<Option<PaymentSession>> {
    let gateway = Arc::clone(&app.gateway);
    app.db
        .write("payments.record_order", move |tx| {
            let effects = gateway_queue::record_order(tx, &*gateway, id, &provider_order_id)?;
            apply(tx, &*gateway, &effects)?;
            payment_session(&*gateway, &orders::order(tx, id, None)?)
        })
        .await
}

/// Creates an order at the provider that a customer wants to pay now.
///
/// Errors: `unavailable`.
pub async fn create_gateway_order(app: &App, id: OrderId, amount: Money) -> Result<PaymentSession> {
    let down = || Error::unavailable("the payment provider cannot be reached; try again");
    let created = send_order(app, id, amount)
        .await
        .map_err(|error| down().caused_by(error.into_reason()))?;
    record_order(app, id, created).await?.ok_or_else(down)
}
