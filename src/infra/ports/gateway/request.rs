//! Requests to the provider, and its responses.

use serde_json::Value;

use crate::core::money::Money;

/// An order to create at the provider, which customers then pay.
#[derive(Debug, Clone)]
pub struct OrderRequest {
    pub amount: Money,
    /// ISO 4217.
    pub currency: &'static str,
    /// The shop's own id, at most 40 characters.
    pub receipt: String,
}

/// A refund to create at the provider.
#[derive(Debug, Clone)]
pub struct RefundRequest {
    /// The provider's id of the payment.
    pub payment_id: String,
    pub amount: Money,
    /// The idempotency key, at least ten characters.
    pub key: String,
}

/// A payment in the provider's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayPayment {
    /// The provider's id.
    pub id: String,
    pub status: GatewayPaymentStatus,
    /// The refunded amount, in the currency's minor unit.
    pub refunded: i64,
    /// The provider's own record. It is stored as evidence; only the driver interprets it.
    pub raw: Value,
}

/// The status of a payment in the provider's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GatewayPaymentStatus {
    /// Captured; part of it may be refunded.
    Captured,
    Failed,
    /// Anything else: not final yet.
    Open,
}

/// A refund in the provider's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayRefund {
    /// The provider's id.
    pub id: String,
    pub status: GatewayRefundStatus,
    /// The provider's own record. It is stored as evidence; only the driver interprets it.
    pub raw: Value,
}

/// The status of a refund in the provider's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GatewayRefundStatus {
    Pending,
    Processed,
    Failed,
}
