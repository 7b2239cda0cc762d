//! The handlers of the jobs that send requests to the provider: orders to create, and refunds.

use std::sync::Arc;

use crate::{
    app::App,
    core::{
        error::Result,
        id::{OrderId, RefundId},
        money::Money,
    },
    domain::{
        orders::{self, Status},
        payments::{self, CREATE_PROVIDER_ORDER, QueuedRefund, SEND_REFUND},
        settlement::{
            apply::apply,
            provider_order::{create_provider_order, record_provider_order},
        },
    },
    infra::{
        db::Tx,
        jobs::{self, Failure, Handler, Job, JobState, Queue},
        ports::gateway::{GatewayRefund, GatewayRefundStatus, RefundRequest},
    },
};

/// Creates orders at the provider.
pub struct CreateProviderOrder(pub Arc<App>);

impl Handler for CreateProviderOrder {
    /// The amount of the order.
    type Input = Money;
    /// The provider's id of the order.
    type Output = String;

    fn queue(&self) -> Queue {
        payments::provider_queue(CREATE_PROVIDER_ORDER, self.0.gateway.name())
    }

    /// Returns `None` for an order that cannot be paid: it is not PENDING, or its payment is missing.
    fn load(&self, tx: &mut Tx<'_>, job: &Job) -> Result<Option<Money>> {
        let id = OrderId(job.subject);
        let Some(payment) = payments::of_orders(tx, &[id])?.pop() else {
            return Ok(None);
        };
        let is_pending = orders::status_of(tx, id)? == Status::Pending;
        Ok(is_pending.then_some(payment.amount))
    }

    async fn attempt(&self, job: &Job, amount: &Money) -> Result<String, Failure> {
        let (gateway, settings) = (&*self.0.gateway, self.0.settings());
        let created = create_provider_order(gateway, settings, OrderId(job.subject), *amount).await;
        created.map_err(|error| Failure {
            is_permanent: false,
            why: error.into_reason(),
        })
    }

    fn succeed(&self, tx: &mut Tx<'_>, job: &Job, _amount: &Money, id: &String) -> Result<()> {
        record_provider_order(tx, &*self.0.gateway, OrderId(job.subject), id)
    }
}

/// Sends refunds, each with its own idempotency key, so that a refund happens once even if it is sent repeatedly.
pub struct SendRefund(pub Arc<App>);

impl Handler for SendRefund {
    type Input = QueuedRefund;
    type Output = GatewayRefund;

    fn queue(&self) -> Queue {
        payments::provider_queue(SEND_REFUND, self.0.gateway.name())
    }

    fn load(&self, tx: &mut Tx<'_>, job: &Job) -> Result<Option<QueuedRefund>> {
        payments::queued_refund(tx, RefundId(job.subject))
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
        let effect = payments::record_refund_result(tx, queued, &created.id, succeeded)?;
        apply(tx, &*self.0.gateway, &[effect])
    }

    fn fail(
        &self,
        tx: &mut Tx<'_>,
        job: &Job,
        queued: &QueuedRefund,
        failure: &Failure,
    ) -> Result<Option<JobState>> {
        payments::record_refund_failure(tx, &self.queue(), job, queued, failure)
    }
}

/// Fails the requests to providers that are not configured any more.
pub async fn fail_unclaimed(app: &Arc<App>) -> Result<()> {
    let (create, send) = (
        CreateProviderOrder(Arc::clone(app)),
        SendRefund(Arc::clone(app)),
    );
    app.db
        .write("jobs.fail_unclaimed", move |tx| {
            let why = |provider: &str| {
                format!(
                    "the payment provider `{provider}` is not configured; configure it again, \
                     then run `shop admin jobs retry`"
                )
            };
            jobs::fail_unclaimed(tx, &create, why)?;
            jobs::fail_unclaimed(tx, &send, why)
        })
        .await
}
