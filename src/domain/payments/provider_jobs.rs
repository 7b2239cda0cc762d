//! The jobs that send requests to the provider: their kinds, their queues, and what a refund needs.

use std::time::Duration;

use crate::{
    core::{
        id::{OrderId, RefundId},
        money::Money,
    },
    infra::jobs::Queue,
};

/// The kind of the jobs that create an order at the provider. Their subject is the order's id. The text is
/// stored in the database, so it keeps an earlier name.
pub const CREATE_PROVIDER_ORDER: &str = "make-payment-order";

/// The kind of the jobs that send a refund to the provider. Their subject is the refund's id.
pub const SEND_REFUND: &str = "send-refund";

/// Returns the queue of the requests of a kind to the configured provider. Requests to another one wait for a day:
/// they run if it is configured again, and fail otherwise.
pub fn provider_queue(kind: &'static str, provider: &'static str) -> Queue {
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
