//! Requests to the provider that wait in the queue.

use crate::core::{
    id::{OrderId, RefundId},
    money::Money,
};

/// An order to create at the provider.
#[derive(Debug, Clone)]
pub struct QueuedOrder {
    pub order: OrderId,
    pub amount: Money,
    /// Including the current one.
    pub attempts: i64,
}

/// A refund to send to the provider.
#[derive(Debug, Clone)]
pub struct QueuedRefund {
    pub refund: RefundId,
    pub order: OrderId,
    /// The provider's id of the payment.
    pub transaction_id: String,
    pub amount: Money,
    /// Including the current one.
    pub attempts: i64,
    /// The same as `transaction_id` for a duplicate payment; else `None`.
    pub(super) duplicate: Option<String>,
}
