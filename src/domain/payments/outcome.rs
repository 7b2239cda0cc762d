//! The outcome of an event of the provider.

use strum::{EnumString, IntoStaticStr};

use crate::core::column::text_columns;

/// The result of processing an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The order's payment was captured.
    Captured,
    /// A payment for an order that was already paid. Its refund is pending or processed.
    Duplicate,
    Failed,
    Refunded,
    RefundFailed,
    /// An unmatched payment was refunded in the provider's dashboard.
    RefundedAtProvider,
    /// The same was reported before.
    Repeated,
    Ignored,
    /// The body has a valid signature but cannot be parsed. An admin has to resolve it.
    Unreadable,
    /// An admin has to resolve it.
    Unmatched(Mismatch),
}

impl Outcome {
    /// All but [`Outcome::Unmatched`].
    const MATCHED: [Outcome; 9] = [
        Outcome::Captured,
        Outcome::Duplicate,
        Outcome::Failed,
        Outcome::Refunded,
        Outcome::RefundFailed,
        Outcome::RefundedAtProvider,
        Outcome::Repeated,
        Outcome::Ignored,
        Outcome::Unreadable,
    ];

    /// Returns the stored name. That of an unmatched event does not include the mismatch.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Outcome::Captured => "captured",
            Outcome::Duplicate => "duplicate",
            Outcome::Failed => "failed",
            Outcome::Refunded => "refunded",
            Outcome::RefundFailed => "refund_failed",
            Outcome::RefundedAtProvider => "refunded_at_provider",
            Outcome::Repeated => "repeated",
            Outcome::Ignored => "ignored",
            Outcome::Unreadable => "unreadable",
            Outcome::Unmatched(_) => "unmatched",
        }
    }

    /// Returns the outcome with that name. Only an unmatched event needs the mismatch.
    pub(super) fn parse(text: &str, mismatch: Option<Mismatch>) -> Option<Outcome> {
        let unmatched = mismatch.map(Outcome::Unmatched);
        Self::MATCHED
            .into_iter()
            .chain(unmatched)
            .find(|outcome| outcome.as_str() == text)
    }

    /// Returns why the event matches no payment.
    pub(super) fn mismatch(self) -> Option<Mismatch> {
        match self {
            Outcome::Unmatched(mismatch) => Some(mismatch),
            _ => None,
        }
    }

    /// Returns whether an admin has to look at the event.
    pub(super) fn needs_admin(self) -> bool {
        matches!(self, Outcome::Unreadable | Outcome::Unmatched(_))
    }
}

/// Why an event matches no payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum Mismatch {
    /// A payment for an unknown order, which may become known.
    UnknownOrder,
    /// A refund of an unknown payment, which may become known.
    UnknownPayment,
    Amount,
    Currency,
    /// The payment was recorded for another order.
    OtherOrder,
    ExceedsCaptured,
    /// A payment for an order that was already paid, without a refund: it failed, or the event was processed
    /// before the shop refunded such payments.
    AlreadyPaid,
}

text_columns!(Mismatch);

impl Mismatch {
    /// Returns the reason that admins see.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Mismatch::UnknownOrder => "no such order",
            Mismatch::UnknownPayment => "no such payment",
            Mismatch::Amount => "another amount",
            Mismatch::Currency => "another currency",
            Mismatch::OtherOrder => "the payment belongs to another order",
            Mismatch::ExceedsCaptured => "more went back than was captured",
            Mismatch::AlreadyPaid => "the order is paid already",
        }
    }
}
