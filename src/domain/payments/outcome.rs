//! The outcome of an event, as `payment_events.outcome` stores it.

/// What processing an event resulted in.
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
    /// The body has a valid signature but cannot be parsed. Needs an admin.
    Unreadable,
    /// Needs an admin.
    Unmatched(Mismatch),
}

/// Why an event matches no payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// The prefix of all unmatched outcomes.
const UNMATCHED: &str = "unmatched: ";

impl Outcome {
    /// The bounds of all unmatched outcomes in text order; the second is exclusive.
    pub(super) const UNMATCHED_RANGE: (&str, &str) = (UNMATCHED, "unmatched;");

    const ALL: [Outcome; 16] = [
        Outcome::Captured,
        Outcome::Duplicate,
        Outcome::Failed,
        Outcome::Refunded,
        Outcome::RefundFailed,
        Outcome::RefundedAtProvider,
        Outcome::Repeated,
        Outcome::Ignored,
        Outcome::Unreadable,
        Outcome::Unmatched(Mismatch::UnknownOrder),
        Outcome::Unmatched(Mismatch::UnknownPayment),
        Outcome::Unmatched(Mismatch::Amount),
        Outcome::Unmatched(Mismatch::Currency),
        Outcome::Unmatched(Mismatch::OtherOrder),
        Outcome::Unmatched(Mismatch::ExceedsCaptured),
        Outcome::Unmatched(Mismatch::AlreadyPaid),
    ];

    /// Returns the stored text.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Captured => "captured",
            Outcome::Duplicate => "duplicate",
            Outcome::Failed => "failed",
            Outcome::Refunded => "refunded",
            Outcome::RefundFailed => "refund failed",
            Outcome::RefundedAtProvider => "refunded at the provider",
            Outcome::Repeated => "repeated",
            Outcome::Ignored => "ignored",
            Outcome::Unreadable => "unreadable",
            Outcome::Unmatched(Mismatch::UnknownOrder) => "unmatched: no such order",
            Outcome::Unmatched(Mismatch::UnknownPayment) => "unmatched: no such payment",
            Outcome::Unmatched(Mismatch::Amount) => "unmatched: another amount",
            Outcome::Unmatched(Mismatch::Currency) => "unmatched: another currency",
            Outcome::Unmatched(Mismatch::OtherOrder) => {
                "unmatched: the payment belongs to another order"
            }
            Outcome::Unmatched(Mismatch::ExceedsCaptured) => {
                "unmatched: more went back than was captured"
            }
            Outcome::Unmatched(Mismatch::AlreadyPaid) => "unmatched: the order is paid already",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Outcome> {
        Self::ALL
            .into_iter()
            .find(|outcome| outcome.as_str() == text)
    }

    /// Returns why an event needs an admin; `None` if it needs none.
    pub(super) fn reason(self) -> Option<&'static str> {
        match self {
            Outcome::Unreadable => Some("signed, but the body could not be read"),
            outcome => outcome.as_str().strip_prefix(UNMATCHED),
        }
    }
}
