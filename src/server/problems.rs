//! The table of all problem types: the general ones and those of the domains. `/problems/{code}` shows each as a
//! page.

use std::sync::LazyLock;

use crate::{
    core::{error::Kind, problem::ProblemType},
    domain::{accounts, catalog, media, orders, payments},
    infra::{
        ports::gateway::razorpay::INVALID_SIGNATURE,
        web::{idempotency::IDEMPOTENCY_KEY_REUSED, problems::GENERAL, respond},
    },
};

/// Every problem type. A code that comes with more than one status has one entry per status.
pub static ALL: LazyLock<Vec<ProblemType>> = LazyLock::new(|| {
    [
        GENERAL,
        &[IDEMPOTENCY_KEY_REUSED, INVALID_SIGNATURE],
        accounts::problems::ALL,
        catalog::problems::ALL,
        media::problems::ALL,
        orders::problems::ALL,
        payments::problems::ALL,
    ]
    .concat()
});

/// Returns the problem type with this code, or the first one if the code comes with more than one status.
pub fn by_code(code: &str) -> Option<&'static ProblemType> {
    ALL.iter().find(|problem| problem.code() == code)
}

/// Returns the problem type of an error's kind.
pub fn of_kind(kind: Kind) -> Option<&'static ProblemType> {
    let status = respond::status(kind);
    ALL.iter()
        .find(|problem| problem.code() == kind.code() && respond::status(problem.kind) == status)
}
