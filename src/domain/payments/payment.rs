//! A payment, as orders show it.

use serde::Serialize;
use utoipa::ToSchema;

use super::{PaymentStatus, Refund, RefundStatus};
use crate::core::{
    id::{OrderId, PaymentId},
    money::Money,
};

/// An order's payment.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Payment {
    pub id: PaymentId,
    #[schema(example = "mock")]
    pub provider: String,
    /// The provider's id of the order, needed to open the provider's payment page.
    #[schema(required)]
    pub provider_order_id: Option<String>,
    pub status: PaymentStatus,
    pub amount: Money,
    /// The sum of the refunds that are processed or pending.
    pub refunded_amount: Money,
    /// The provider's id of the payment; `null` until it is captured.
    #[schema(required)]
    pub transaction_id: Option<String>,
    pub refunds: Vec<Refund>,
    #[serde(skip)]
    pub order: OrderId,
    /// Whether this is a duplicate payment instead of the order's own.
    #[serde(skip)]
    pub(crate) is_duplicate: bool,
}

impl Payment {
    /// Returns a duplicate payment of the same order. It has refunds of its own; orders do not show it.
    pub(super) fn duplicate(&self, transaction_id: &str, refunds: Vec<Refund>) -> Payment {
        let counted = refunds
            .iter()
            .filter(|refund| refund.status != RefundStatus::Failed);
        let (refunded_amount, _) = Money::capped_sum(counted.map(|refund| refund.amount));
        Payment {
            status: PaymentStatus::Captured,
            refunded_amount,
            transaction_id: Some(transaction_id.to_owned()),
            refunds,
            is_duplicate: true,
            ..self.clone()
        }
    }

    /// Returns the provider's id of a duplicate payment; `None` for an order's own payment.
    pub(super) fn duplicate_id(&self) -> Option<&str> {
        self.transaction_id.as_deref().filter(|_| self.is_duplicate)
    }

    /// Returns the amount that can still be refunded.
    pub fn refundable(&self) -> Money {
        match self.status {
            PaymentStatus::Captured => self.amount.saturating_sub(self.refunded_amount),
            _ => Money::ZERO,
        }
    }
}
