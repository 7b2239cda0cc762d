//! The problem types of accounts.

use crate::core::{error::Kind, problem::ProblemType};

/// Every problem type of this domain.
pub const ALL: &[ProblemType] = &[
    INVALID_LINK_TOKEN,
    INVALID_CODE,
    INVALID_CREDENTIALS,
    INVALID_REFRESH_TOKEN,
    EMAIL_TAKEN,
    LAST_ADMIN,
];

pub const INVALID_LINK_TOKEN: ProblemType = ProblemType::new(
    Kind::BadRequest("invalid-token"),
    "Link is invalid or expired",
    "The token in the link is unknown, already used or expired. Request a new link.",
);

pub const INVALID_CODE: ProblemType = ProblemType::new(
    Kind::BadRequest("invalid-code"),
    "Verification code is invalid",
    "The code is wrong, already used, older than ten minutes, or was entered incorrectly five times. Request a new code.",
);

pub const INVALID_CREDENTIALS: ProblemType = ProblemType::new(
    Kind::Unauthorized("invalid-credentials"),
    "Wrong email or password",
    "Check the email and the password. The response is the same whether or not the account exists.",
);

pub const INVALID_REFRESH_TOKEN: ProblemType = ProblemType::new(
    Kind::Unauthorized("invalid-token"),
    "Token is invalid or expired",
    "The token is unknown, already used or expired. Sign in again.",
);

pub const EMAIL_TAKEN: ProblemType = ProblemType::new(
    Kind::Conflict("email-taken"),
    "Email address is already registered",
    "Sign in, or register with another address.",
);

pub const LAST_ADMIN: ProblemType = ProblemType::new(
    Kind::Conflict("last-admin"),
    "The last admin cannot be removed",
    "Make another account an admin first.",
);
