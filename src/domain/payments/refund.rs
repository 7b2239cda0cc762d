//! A refund of a payment.

use serde::Serialize;
use strum::{EnumString, IntoStaticStr};
use utoipa::ToSchema;

use crate::core::{
    column::text_columns,
    id::{OrderId, RefundId},
    money::Money,
};

/// The status of a refund: `PENDING → PROCESSED|FAILED`. The provider may still process a FAILED one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema, EnumString, IntoStaticStr)]
#[serde(rename_all = "UPPERCASE")]
#[strum(serialize_all = "UPPERCASE")]
pub enum RefundStatus {
    Pending,
    Processed,
    Failed,
}

text_columns!(RefundStatus);

/// Who requested a refund.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum RefundCause {
    Admin,
    /// The shop itself: the payment arrived after its order was cancelled or paid.
    Late,
    /// Someone in the provider's dashboard.
    Provider,
}

text_columns!(RefundCause);

/// A refund of a payment, in full or in part.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Refund {
    pub id: RefundId,
    pub amount: Money,
    pub status: RefundStatus,
    /// Whether the stock is returned once the whole payment is refunded.
    #[serde(skip)]
    pub restock: bool,
    /// Why it failed, for operators. It is kept if the provider still processes the refund.
    #[serde(skip)]
    pub failure_reason: Option<String>,
}

/// A refund that was processed, to apply to its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refunded {
    pub order: OrderId,
    pub amount: Money,
    /// Whether the payment is now refunded in full.
    pub is_full: bool,
    /// Whether the stock is to be returned as well.
    pub restock: bool,
}
