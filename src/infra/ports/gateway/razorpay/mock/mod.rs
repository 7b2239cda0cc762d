//! Simulates Razorpay for a shop without an account: ids of the same form, without the network, and a record of
//! its own for reconciliation.

mod checkout;
mod store;

use futures_util::FutureExt;
use serde_json::{Value, json};

pub use self::checkout::{CheckoutResult, SimulatedCheckout, Webhook};
use super::webhook::{self, Webhooks};
use crate::{
    core::{clock::Timestamp, error::Result, money::Money, rng::Rng},
    infra::{
        db::{Db, Tx},
        ports::gateway::{
            Gateway, GatewayError, GatewayFuture, GatewayPayment, GatewayRefund,
            GatewayRefundStatus, OrderRequest, RefundRequest, WebhookFormat,
        },
    },
};

pub struct Mock {
    db: Db,
    rng: Rng,
}

/// A payment that a customer makes at the provider.
#[derive(Debug, Clone)]
pub struct SimulatedPayment<'a> {
    /// The provider's id of the order.
    pub order_id: &'a str,
    pub amount: Money,
    /// ISO 4217.
    pub currency: &'a str,
    pub fails: bool,
}

/// The alphabet of Razorpay's ids, in byte order.
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

impl Mock {
    pub fn new(db: Db, rng: Rng) -> Mock {
        Mock { db, rng }
    }

    /// Writes a payment to the provider's record. Returns its entity, as in webhooks.
    pub fn pay(tx: &mut Tx<'_>, payment: &SimulatedPayment<'_>) -> Result<Value> {
        let id = new_id("pay_", tx.rng());
        let status = if payment.fails { "failed" } else { "captured" };
        let (order, amount, currency) = (payment.order_id, payment.amount, payment.currency);
        store::insert(tx, &id, order, amount, currency, status)?;
        let now = tx.now().seconds();
        Ok(entity(&id, order, amount, currency, status, now))
    }

    /// Returns the webhook `name` about a payment: `payment.captured` or `payment.failed`.
    pub fn event(name: &str, payment: &Value, at: Timestamp) -> Value {
        json!({
            "entity": "event",
            "account_id": "acc_mock",
            "event": name,
            "contains": ["payment"],
            "payload": { "payment": { "entity": payment } },
            "created_at": at.seconds(),
        })
    }

    /// Returns an event id of the provider's form.
    pub fn event_id(rng: &Rng) -> String {
        new_id("", rng)
    }
}

impl Gateway for Mock {
    fn name(&self) -> &'static str {
        "mock"
    }

    fn key_id(&self) -> &'static str {
        "rzp_test_mock"
    }

    fn min_amount(&self) -> Money {
        Money::ZERO
    }

    fn offline_order_id(&self, now: Timestamp, rng: &Rng) -> Option<String> {
        let (prefix, suffix) = (time_prefix(now), rng.text(ALPHABET, 7));
        Some(format!("order_{prefix}{suffix}"))
    }

    fn offline_refund_id(&self, rng: &Rng) -> Option<String> {
        Some(new_id("rfnd_", rng))
    }

    fn create_order<'a>(&'a self, _: &'a OrderRequest) -> GatewayFuture<'a, String> {
        async { Ok(new_id("order_", &self.rng)) }.boxed()
    }

    fn create_refund<'a>(&'a self, _: &'a RefundRequest) -> GatewayFuture<'a, GatewayRefund> {
        async {
            Ok(GatewayRefund {
                id: new_id("rfnd_", &self.rng),
                status: GatewayRefundStatus::Processed,
                raw: Value::Null,
            })
        }
        .boxed()
    }

    fn list_payments<'a>(&'a self, order_id: &'a str) -> GatewayFuture<'a, Vec<GatewayPayment>> {
        async move {
            let order_id = order_id.to_owned();
            let payments = self
                .db
                .read("mock.payments", move |tx| store::of_order(tx, &order_id))
                .await
                .map_err(|error| GatewayError::Transient(error.detail().to_owned()))?;
            Ok(payments.into_iter().map(webhook::payment).collect())
        }
        .boxed()
    }

    /// Returns none: the mock's refunds are processed before it records anything.
    fn list_refunds<'a>(&'a self, _: &'a str) -> GatewayFuture<'a, Vec<GatewayRefund>> {
        async { Ok(Vec::new()) }.boxed()
    }

    fn check(&self) -> GatewayFuture<'_, ()> {
        async { Ok(()) }.boxed()
    }

    fn webhooks(&self) -> &dyn WebhookFormat {
        &Webhooks
    }
}

/// Returns a random id of the provider's form.
fn new_id(prefix: &str, rng: &Rng) -> String {
    format!("{prefix}{}", rng.text(ALPHABET, 14))
}

/// Returns seven characters that sort by time, like the first ones of Razorpay's ids. A unique index then
/// grows at its end instead of at random places.
fn time_prefix(now: Timestamp) -> String {
    let mut rest = now.0.unsigned_abs();
    let mut digits = [b'0'; 7];
    for digit in digits.iter_mut().rev() {
        *digit = usize::try_from(rest % 62).map_or(b'0', |at| ALPHABET[at]);
        rest /= 62;
    }
    digits.iter().copied().map(char::from).collect()
}

/// Returns a payment entity, as Razorpay would show it.
fn entity(
    id: &str,
    order_id: &str,
    amount: Money,
    currency: &str,
    status: &str,
    created_at: i64,
) -> Value {
    json!({
        "id": id,
        "entity": "payment",
        "amount": amount,
        "currency": currency,
        "status": status,
        "order_id": order_id,
        "method": "upi",
        "amount_refunded": 0,
        "captured": status == "captured",
        "notes": [],
        "created_at": created_at,
    })
}
