//! The problem types of payments.

use crate::core::{error::Kind, problem::ProblemType};

/// Every problem type of this domain.
pub const ALL: &[ProblemType] = &[AMOUNT_TOO_SMALL, NOT_UNMATCHED, REFUND_EXCEEDS_CAPTURED];

pub const AMOUNT_TOO_SMALL: ProblemType = ProblemType::new(
    Kind::Conflict("amount-too-small"),
    "Amount is below the payment provider's minimum",
    "Add items to the cart. `detail` names the smallest amount that can be paid.",
);

pub const NOT_UNMATCHED: ProblemType = ProblemType::new(
    Kind::Conflict("not-unmatched"),
    "Payment is not unmatched",
    "Only an unmatched payment can be resolved. `GET /admin/payments?status=unmatched` lists them.",
);

pub const REFUND_EXCEEDS_CAPTURED: ProblemType = ProblemType::new(
    Kind::Conflict("refund-exceeds-captured"),
    "Refund exceeds the captured amount",
    "Fetch the order again. Its `payment` shows how much was captured, and how much is already refunded or being refunded.",
);
