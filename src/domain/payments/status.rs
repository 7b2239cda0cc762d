//! The state machine of a payment.

use serde::Serialize;
use utoipa::ToSchema;

/// The status of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum PaymentStatus {
    Created,
    /// The customer may pay again.
    Failed,
    Captured,
    /// Refunded in full.
    Refunded,
}

/// All transitions: from and to.
const TRANSITIONS: &[(PaymentStatus, PaymentStatus)] = &[
    (PaymentStatus::Created, PaymentStatus::Failed),
    (PaymentStatus::Created, PaymentStatus::Captured),
    (PaymentStatus::Failed, PaymentStatus::Captured),
    (PaymentStatus::Captured, PaymentStatus::Refunded),
];

impl PaymentStatus {
    pub(super) const ALL: [PaymentStatus; 4] = [
        PaymentStatus::Created,
        PaymentStatus::Failed,
        PaymentStatus::Captured,
        PaymentStatus::Refunded,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            PaymentStatus::Created => "CREATED",
            PaymentStatus::Failed => "FAILED",
            PaymentStatus::Captured => "CAPTURED",
            PaymentStatus::Refunded => "REFUNDED",
        }
    }

    pub(super) fn parse(text: &str) -> Option<PaymentStatus> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Returns whether a payment may move from this status to `next`.
    pub fn can_transition_to(self, next: PaymentStatus) -> bool {
        TRANSITIONS.contains(&(self, next))
    }
}
