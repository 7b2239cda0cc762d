//! The state machine of a payment.

use serde::Serialize;
use strum::{EnumString, IntoStaticStr, VariantArray};
use utoipa::ToSchema;

use crate::core::column::text_columns;

/// The status of a payment.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema, EnumString, IntoStaticStr, VariantArray,
)]
#[serde(rename_all = "UPPERCASE")]
#[strum(serialize_all = "UPPERCASE")]
pub enum PaymentStatus {
    Created,
    /// The customer may pay again.
    Failed,
    Captured,
    /// Refunded in full.
    Refunded,
}

text_columns!(PaymentStatus);

/// All transitions: from and to.
const TRANSITIONS: &[(PaymentStatus, PaymentStatus)] = &[
    (PaymentStatus::Created, PaymentStatus::Failed),
    (PaymentStatus::Created, PaymentStatus::Captured),
    (PaymentStatus::Failed, PaymentStatus::Captured),
    (PaymentStatus::Captured, PaymentStatus::Refunded),
];

impl PaymentStatus {
    /// Returns whether a payment may move from this status to `next`.
    pub fn can_transition_to(self, next: PaymentStatus) -> bool {
        TRANSITIONS.contains(&(self, next))
    }
}
