//! Reconciliation: compares payments with the provider's record and processes events whose webhooks were lost.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::join_all;
use serde::Serialize;
use uuid::Uuid;

use crate::{
    app::App,
    core::{clock::Timestamp, error::Result, id::OrderId},
    domain::{
        orders,
        payments::{self, Delivery, KnownPayment, Outcome, PaymentStatus},
        settlement::receive::receive,
    },
    infra::ports::gateway::{GatewayError, GatewayPaymentStatus},
};

/// How many payments are compared concurrently.
const CONCURRENCY: i64 = 8;

/// The maximum age of the orders that are compared.
pub const RECONCILED_PERIOD: Duration = Duration::from_hours(30 * 24);

/// The result of a reconciliation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reconciled {
    /// Payments that were compared.
    pub compared: usize,
    pub captured: usize,
    pub failed: usize,
    pub refunded: usize,
    pub unmatched: usize,
    /// Payments for orders that were already paid; they are refunded.
    pub duplicates: usize,
    /// The reasons why payments could not be compared.
    pub failures: Vec<String>,
}

/// Compares the payments of the last thirty days with the provider's record, and processes what lost webhooks
/// would have reported. `on_progress` receives the number of compared payments.
pub async fn reconcile(app: &App, on_progress: impl Fn(usize)) -> Result<Reconciled> {
    let provider = app.gateway.name();
    let since = app.clock.now().minus(RECONCILED_PERIOD);
    let since = orders::first_id(Timestamp(since.0.max(0)));
    let mut reconciled = Reconciled::default();
    let mut after = OrderId(Uuid::nil());
    loop {
        let known = app
            .db
            .read("payments.known", move |tx| {
                payments::known_payments(tx, provider, since, after, CONCURRENCY)
            })
            .await?;
        let Some(last) = known.last() else {
            return Ok(reconciled);
        };
        after = last.order;
        let found = join_all(known.iter().map(|payment| find_events(app, payment))).await;
        for (payment, found) in known.iter().zip(found) {
            match found {
                Ok(events) => process(app, events, &mut reconciled).await?,
                Err(error) => {
                    let failure = format!("order {}: {}", payment.order, error.reason());
                    reconciled.failures.push(failure);
                }
            }
            reconciled.compared += 1;
        }
        on_progress(reconciled.compared);
    }
}

/// Returns the events of an order's payments that the shop has not recorded, as webhook bodies.
async fn find_events(app: &App, known: &KnownPayment) -> Result<Vec<Bytes>, GatewayError> {
    let gateway = &app.gateway;
    let mut events = Vec::new();
    for payment in gateway.list_payments(&known.provider_order_id).await? {
        let is_known = known.transaction_id.as_deref() == Some(payment.id.as_str());
        let known_refunded = if is_known { known.refunded.get() } else { 0 };
        let refunds = if payment.refunded == known_refunded {
            Vec::new()
        } else {
            gateway.list_refunds(&payment.id).await?
        };
        let is_new = match payment.status {
            GatewayPaymentStatus::Captured => !is_known,
            GatewayPaymentStatus::Failed => known.status == PaymentStatus::Created,
            GatewayPaymentStatus::Open => false,
        };
        if is_new {
            events.extend(gateway.webhooks().format_payment(&payment));
        }
        let refunds = refunds.iter();
        events.extend(refunds.filter_map(|refund| gateway.webhooks().format_refund(refund)));
    }
    Ok(events)
}

async fn process(app: &App, events: Vec<Bytes>, reconciled: &mut Reconciled) -> Result<()> {
    for body in events {
        let delivery = Delivery::unsigned(&*app.gateway, None, body);
        let gateway = Arc::clone(&app.gateway);
        let outcomes = app
            .db
            .write("payments.reconcile", move |tx| {
                receive(tx, &*gateway, &delivery)
            })
            .await?;
        for outcome in outcomes {
            match outcome {
                Outcome::Captured => reconciled.captured += 1,
                Outcome::Failed => reconciled.failed += 1,
                Outcome::Refunded => reconciled.refunded += 1,
                Outcome::Duplicate => reconciled.duplicates += 1,
                Outcome::Unmatched(_) => reconciled.unmatched += 1,
                _ => {}
            }
        }
    }
    Ok(())
}
