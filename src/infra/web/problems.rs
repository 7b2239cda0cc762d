//! The problem types that any route may return. Each domain declares its own in its `problems.rs`;
//! `server/problems.rs` has the table of all.

use std::time::Duration;

use super::respond;
use crate::core::{error::Kind, problem::ProblemType};

pub const GENERAL: &[ProblemType] = &[
    ProblemType::new(
        Kind::MalformedJson,
        "Request body is not valid JSON",
        "Send one complete JSON document (RFC 8259), nested at most 128 levels deep.",
    ),
    ProblemType::new(
        Kind::InvalidQuery,
        "Query string is invalid",
        "Check the names and values of the query parameters. Unknown parameters are rejected, so that a typo does not go unnoticed.",
    ),
    ProblemType::new(
        Kind::InvalidHeader,
        "Header is invalid",
        "Correct the header that `detail` names.",
    ),
    ProblemType::new(
        Kind::Unauthorized("unauthorized"),
        "Authentication required",
        "Send `Authorization: Bearer <accessToken>` with a token that has not expired and whose session is still active.",
    ),
    ProblemType::new(
        Kind::Forbidden,
        "Access denied",
        "Use an account with the required role. In a browser, open the WebSocket from a page of the shop's own origin or of an allowed one.",
    ),
    ProblemType::new(
        Kind::NotFound,
        "Resource not found",
        "Check the path and the id. A resource that belongs to another user is reported as not found, too.",
    ),
    ProblemType::new(
        Kind::MethodNotAllowed,
        "Method not allowed",
        "Use one of the methods that the `Allow` header lists.",
    ),
    ProblemType::new(
        Kind::RequestTimeout,
        "Request timed out",
        "The request, including its body, did not complete within 60 seconds. Send it again.",
    ),
    ProblemType::new(
        Kind::PreconditionFailed,
        "Resource has changed",
        "Fetch the resource again and repeat the change with its current `ETag` in `If-Match`.",
    ),
    ProblemType::new(
        Kind::TooLarge,
        "Request body is too large",
        "Send at most 256 KiB of JSON, and at most 5 MiB for each image.",
    ),
    ProblemType::new(
        Kind::UnsupportedMediaType,
        "Media type is not supported",
        "Send `Content-Type: application/json` unless the operation documents another type, and no `Content-Encoding`. Images must be JPEG, PNG, WebP or GIF.",
    ),
    ProblemType::new(
        Kind::Invalid("validation-failed"),
        "Validation failed",
        "Correct the fields that `errors` lists.",
    ),
    ProblemType::new(
        Kind::PreconditionRequired,
        "`If-Match` is required",
        "Fetch the product and send its `ETag` in `If-Match`, or change the stock by a delta.",
    ),
    ProblemType::new(
        Kind::TooManyRequests {
            retry_after: Duration::ZERO,
        },
        "Too many requests",
        "Wait for the number of seconds in `Retry-After`. After too many wrong passwords, a password reset restores access immediately.",
    ),
    ProblemType::new(
        Kind::Internal,
        "Internal server error",
        "Retry later. If the error persists, report the `requestId`, which also appears in the server's log.",
    ),
    ProblemType::new(
        Kind::Unavailable,
        "Service temporarily unavailable",
        "Retry after the number of seconds in `Retry-After`.",
    ),
    ProblemType::new(
        Kind::StorageFull,
        "Insufficient storage",
        "Nothing was changed. The operator must free disk space before the request can succeed.",
    ),
];

/// Returns the problem type for an error status that was set without an [`Error`](crate::core::error::Error),
/// e.g. by the router.
pub fn by_status(status: u16) -> Option<&'static ProblemType> {
    GENERAL
        .iter()
        .find(|problem| respond::status(problem.kind).as_u16() == status)
}
