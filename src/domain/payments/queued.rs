//! The jobs that send requests to the provider.

use std::time::Duration;

use crate::{
    core::{
        id::{OrderId, RefundId},
        money::Money,
    },
    infra::jobs::Queue,
};

/// The kind of the jobs that create an order at the provider. Their subject is the order's id.
pub const CREATE_PROVIDER_ORDER: &str = "make-payment-order";

/// The kind of the jobs that send a refund to the provider. Their subject is the refund's id.
pub const SEND_REFUND: &str = "send-refund";

/// Returns the queue of the requests of a kind to a provider. Requests to another provider wait for a day until
/// that one is configured again, and then fail.
pub fn queue(kind: &'static str, provider: &'static str) -> Queue {
    Queue {
        payload: provider,
        poll_interval: Duration::from_millis(500),
        ..Queue::of(kind)
    }
}

/// A refund to send to the provider.
#[derive(Debug, Clone)]
pub struct QueuedRefund {
    pub refund: RefundId,
    pub order: OrderId,
    /// The provider's id of the payment.
    pub transaction_id: String,
    pub amount: Money,
    /// The same as `transaction_id` for a duplicate payment; else `None`.
    pub(super) duplicate: Option<String>,
}
