//! A refund of a payment.

use serde::Serialize;
use utoipa::ToSchema;

use crate::core::{
    id::{OrderId, RefundId},
    money::Money,
};

/// The status of a refund: `PENDING → PROCESSED|FAILED`. The provider may still process a FAILED one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum RefundStatus {
    Pending,
    Processed,
    Failed,
}

impl RefundStatus {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            RefundStatus::Pending => "PENDING",
            RefundStatus::Processed => "PROCESSED",
            RefundStatus::Failed => "FAILED",
        }
    }

    pub(super) fn parse(text: &str) -> Option<RefundStatus> {
        [
            RefundStatus::Pending,
            RefundStatus::Processed,
            RefundStatus::Failed,
        ]
        .into_iter()
        .find(|status| status.as_str() == text)
    }
}

/// Who requested a refund.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundCause {
    Admin,
    /// The shop: the money arrived after its order was cancelled or paid.
    Late,
    /// Someone in the provider's dashboard.
    Provider,
}

impl RefundCause {
    pub(super) fn parse(text: &str) -> Option<RefundCause> {
        [RefundCause::Admin, RefundCause::Late, RefundCause::Provider]
            .into_iter()
            .find(|cause| cause.as_str() == text)
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            RefundCause::Admin => "admin",
            RefundCause::Late => "late",
            RefundCause::Provider => "provider",
        }
    }
}

/// A refund of a payment, in full or in part.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Refund {
    pub id: RefundId,
    pub amount: Money,
    pub status: RefundStatus,
    /// Whether the stock is returned once the whole payment is refunded.
    #[serde(skip)]
    pub restock: bool,
}

/// A refund that was processed, for its order to follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refunded {
    pub order: OrderId,
    pub amount: Money,
    /// Whether the payment is now refunded in full.
    pub is_full: bool,
    /// Whether the stock is to be returned as well.
    pub restock: bool,
}
