//! The JSON of Razorpay's responses (<https://razorpay.com/docs/api/orders/entity/>).

use serde::Deserialize;

use crate::{core::money::Money, infra::ports::gateway::OrderRequest};

/// An order.
#[derive(Deserialize)]
pub(super) struct Order {
    pub(super) id: String,
    amount: Money,
    currency: String,
    receipt: Option<String>,
}

impl Order {
    /// Returns whether this order was created for the request.
    pub(super) fn matches(&self, request: &OrderRequest) -> bool {
        self.amount == request.amount
            && self.currency == request.currency
            && self.receipt.as_ref() == Some(&request.receipt)
    }
}

/// A refund.
#[derive(Deserialize)]
pub(super) struct Refund {
    pub(super) id: String,
    pub(super) payment_id: String,
    pub(super) amount: Money,
    pub(super) status: Option<String>,
}

/// A list of entities.
#[derive(Deserialize)]
pub(super) struct Collection<T> {
    pub(super) items: Vec<T>,
}

/// An error (<https://razorpay.com/docs/errors/>).
#[derive(Deserialize)]
pub(super) struct ErrorBody {
    pub(super) error: ErrorDetails,
}

#[derive(Deserialize)]
pub(super) struct ErrorDetails {
    pub(super) description: String,
}
