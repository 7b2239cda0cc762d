//! The gateway: the port to the payment provider. Each provider has one folder; no other code depends on its names,
//! headers and JSON. Checkout never waits for the network: the worker calls the provider after the transaction, or
//! the payment route does if the customer pays before that. A driver sends each request once; the worker retries.

mod error;
mod event;
pub mod razorpay;
mod request;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::HeaderMap;

pub use self::{
    error::GatewayError,
    event::{EventKind, GatewayEvent, ReportedPayment, ReportedRefund},
    razorpay::{CheckoutResult, Mock, Razorpay, SimulatedCheckout, SimulatedPayment, Webhook},
    request::{
        GatewayPayment, GatewayPaymentStatus, GatewayRefund, GatewayRefundStatus, OrderRequest,
        RefundRequest,
    },
};
use crate::{
    core::{clock::Timestamp, error::Result, money::Money, rng::Rng},
    infra::config::Secret,
};

/// A request to the provider in progress.
pub type GatewayFuture<'a, T> = BoxFuture<'a, Result<T, GatewayError>>;

/// A payment provider.
pub trait Gateway: Send + Sync {
    /// Returns the provider's name, as orders show it.
    fn name(&self) -> &'static str;

    /// Returns the public key id, with which a browser opens the provider's payment page.
    fn key_id(&self) -> &str;

    /// Returns the minimum amount of a payment or refund, in the currency's minor unit.
    fn min_amount(&self) -> Money;

    /// Returns an order id, if the provider creates orders without the network.
    fn offline_order_id(&self, now: Timestamp, rng: &Rng) -> Option<String>;

    /// Returns the id of a processed refund, if the provider refunds without the network.
    fn offline_refund_id(&self, rng: &Rng) -> Option<String>;

    /// Creates an order and returns its id.
    fn create_order<'a>(&'a self, order: &'a OrderRequest) -> GatewayFuture<'a, String>;

    /// Refunds a payment. The same idempotency key is refunded once.
    fn create_refund<'a>(&'a self, refund: &'a RefundRequest) -> GatewayFuture<'a, GatewayRefund>;

    /// Returns all payments of one of its orders.
    fn list_payments<'a>(&'a self, order_id: &'a str) -> GatewayFuture<'a, Vec<GatewayPayment>>;

    /// Returns all refunds of one of its payments.
    fn list_refunds<'a>(&'a self, payment_id: &'a str) -> GatewayFuture<'a, Vec<GatewayRefund>>;

    /// Checks that the provider accepts the keys.
    fn check(&self) -> GatewayFuture<'_, ()>;

    /// Returns the format of the provider's webhooks.
    fn webhooks(&self) -> &dyn WebhookFormat;
}

/// The format of a provider's webhooks, which a simulated provider shares with the real one.
pub trait WebhookFormat {
    /// Checks the headers of a webhook before its body is read.
    ///
    /// Errors: `invalid-signature` if they cannot belong to a signed webhook.
    fn check_headers(&self, headers: &HeaderMap) -> Result<()>;

    /// Verifies the signature of a webhook, made with any of the secrets, and returns its events.
    ///
    /// Errors: `invalid-signature`.
    fn verify(
        &self,
        secrets: &[Secret],
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Vec<GatewayEvent>>;

    /// Returns the events in a body that was verified before. A body that cannot be parsed is one
    /// [`EventKind::Unreadable`] event.
    fn parse(&self, body: &[u8]) -> Vec<GatewayEvent>;

    /// Returns the webhook body that reports a payment's status; `None` if the status is not final.
    fn format_payment(&self, payment: &GatewayPayment) -> Option<Bytes>;

    /// Returns the webhook body that reports a refund's status; `None` if it is pending.
    fn format_refund(&self, refund: &GatewayRefund) -> Option<Bytes>;
}
