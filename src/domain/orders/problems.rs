//! The problem types of orders.

use crate::core::{error::Kind, problem::ProblemType};

/// Every problem type of this domain.
pub const ALL: &[ProblemType] = &[
    CART_EMPTY,
    ILLEGAL_TRANSITION,
    TOTAL_CHANGED,
    TOTAL_OUT_OF_RANGE,
];

pub const CART_EMPTY: ProblemType = ProblemType::new(
    Kind::Conflict("cart-empty"),
    "Cart is empty",
    "Add an item to the cart first.",
);

pub const ILLEGAL_TRANSITION: ProblemType = ProblemType::new(
    Kind::Conflict("illegal-transition"),
    "Order status does not allow this transition",
    "Fetch the order again. Its current `status` determines which transitions are allowed.",
);

pub const TOTAL_CHANGED: ProblemType = ProblemType::new(
    Kind::Conflict("total-changed"),
    "Total differs from the expected total",
    "A price or a quantity has changed. Fetch the cart again and show the customer the new total.",
);

pub const TOTAL_OUT_OF_RANGE: ProblemType = ProblemType::new(
    Kind::Conflict("total-out-of-range"),
    "Order total is too large",
    "Order fewer items. A total can be at most 2^53 − 1 in the currency's minor unit.",
);
