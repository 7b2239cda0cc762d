//! The table of problem codes: status, title and remedy of each. `/problems/{code}` shows an entry as a page.

use std::collections::BTreeSet;

use utoipa::openapi::{ObjectBuilder, RefOr, Type, schema::Schema};

/// One problem type (RFC 9457). Clients rely on its code and status; the texts may change.
#[derive(Debug, Clone, Copy)]
pub struct Problem {
    pub code: &'static str,
    pub status: u16,
    pub title: &'static str,
    /// How the client can resolve it. Also the `detail` of a problem that has none of its own.
    pub remedy: &'static str,
}

const fn problem(
    code: &'static str,
    status: u16,
    title: &'static str,
    remedy: &'static str,
) -> Problem {
    Problem {
        code,
        status,
        title,
        remedy,
    }
}

/// Every problem. A code that comes with more than one status has one entry per status.
pub const ALL: &[Problem] = &[
    problem(
        "malformed-json",
        400,
        "Request body is not valid JSON",
        "Send one complete JSON document (RFC 8259), nested at most 128 levels deep.",
    ),
    problem(
        "invalid-query",
        400,
        "Query string is invalid",
        "Check the names and values of the query parameters. Unknown parameters are rejected, so that a typo does not go unnoticed.",
    ),
    problem(
        "invalid-header",
        400,
        "Header is invalid",
        "Correct the header that `detail` names.",
    ),
    problem(
        "invalid-token",
        400,
        "Link is invalid or expired",
        "The token in the link is unknown, already used or expired. Request a new link.",
    ),
    problem(
        "invalid-code",
        400,
        "Verification code is invalid",
        "The code is wrong, already used, older than ten minutes, or was entered incorrectly five times. Request a new code.",
    ),
    problem(
        "unauthorized",
        401,
        "Authentication required",
        "Send `Authorization: Bearer <accessToken>` with a token that has not expired and whose session is still active.",
    ),
    problem(
        "invalid-credentials",
        401,
        "Wrong email or password",
        "Check the email and the password. The response is the same whether or not the account exists.",
    ),
    problem(
        "invalid-token",
        401,
        "Token is invalid or expired",
        "The token is unknown, already used or expired. Sign in again.",
    ),
    problem(
        "invalid-signature",
        401,
        "Webhook signature is missing or wrong",
        "Compute the HMAC-SHA256 of the raw request body with the webhook secret as the key, and send it in hexadecimal in `X-Razorpay-Signature`.",
    ),
    problem(
        "forbidden",
        403,
        "Access denied",
        "Use an account with the required role. In a browser, open the WebSocket from a page of the shop's own origin or of an allowed one.",
    ),
    problem(
        "not-found",
        404,
        "Resource not found",
        "Check the path and the id. A resource that belongs to another user is reported as not found, too.",
    ),
    problem(
        "method-not-allowed",
        405,
        "Method not allowed",
        "Use one of the methods that the `Allow` header lists.",
    ),
    problem(
        "request-timeout",
        408,
        "Request timed out",
        "The request, including its body, did not complete within 60 seconds. Send it again.",
    ),
    problem(
        "amount-too-small",
        409,
        "Amount is below the payment provider's minimum",
        "Add items to the cart. `detail` names the smallest amount that can be paid.",
    ),
    problem(
        "cart-empty",
        409,
        "Cart is empty",
        "Add an item to the cart first.",
    ),
    problem(
        "category-exists",
        409,
        "Category name is already taken",
        "Use the existing category or choose another name.",
    ),
    problem(
        "category-in-use",
        409,
        "Category still contains products",
        "Move its products to another category or delete them first.",
    ),
    problem(
        "email-taken",
        409,
        "Email address is already registered",
        "Sign in, or register with another address.",
    ),
    problem(
        "illegal-transition",
        409,
        "Order status does not allow this transition",
        "Fetch the order again. Its current `status` determines which transitions are allowed.",
    ),
    problem(
        "insufficient-stock",
        409,
        "Not enough stock",
        "Reduce the quantities to what `errors` reports as available.",
    ),
    problem(
        "last-admin",
        409,
        "The last admin cannot be removed",
        "Make another account an admin first.",
    ),
    problem(
        "not-unmatched",
        409,
        "Payment is not unmatched",
        "Only an unmatched payment can be resolved. `GET /admin/payments?status=unmatched` lists them.",
    ),
    problem(
        "refund-exceeds-captured",
        409,
        "Refund exceeds the captured amount",
        "Fetch the order again. Its `payment` shows how much was captured, and how much is already refunded or being refunded.",
    ),
    problem(
        "total-changed",
        409,
        "Total differs from the expected total",
        "A price or a quantity has changed. Fetch the cart again and show the customer the new total.",
    ),
    problem(
        "total-out-of-range",
        409,
        "Order total is too large",
        "Order fewer items. A total can be at most 2^53 − 1 in the currency's minor unit.",
    ),
    problem(
        "precondition-failed",
        412,
        "Resource has changed",
        "Fetch the resource again and repeat the change with its current `ETag` in `If-Match`.",
    ),
    problem(
        "payload-too-large",
        413,
        "Request body is too large",
        "Send at most 256 KiB of JSON, and at most 5 MiB for each image.",
    ),
    problem(
        "unsupported-media-type",
        415,
        "Media type is not supported",
        "Send `Content-Type: application/json` unless the operation documents another type, and no `Content-Encoding`. Images must be JPEG, PNG, WebP or GIF.",
    ),
    problem(
        "validation-failed",
        422,
        "Validation failed",
        "Correct the fields that `errors` lists.",
    ),
    problem(
        "idempotency-key-reused",
        422,
        "Idempotency key was used with a different body",
        "Use a new `Idempotency-Key` for each new request. Repeat a key only to retry the same request.",
    ),
    problem(
        "invalid-image",
        422,
        "Image cannot be processed",
        "Send a complete JPEG, PNG, WebP or GIF within the limit that `detail` names (16 megapixels by default). A product can have up to 8 images.",
    ),
    problem(
        "precondition-required",
        428,
        "`If-Match` is required",
        "Fetch the product and send its `ETag` in `If-Match`, or change the stock by a delta.",
    ),
    problem(
        "too-many-requests",
        429,
        "Too many requests",
        "Wait for the number of seconds in `Retry-After`. After too many wrong passwords, a password reset restores access immediately.",
    ),
    problem(
        "internal",
        500,
        "Internal server error",
        "Retry later. If the error persists, report the `requestId`, which also appears in the server's log.",
    ),
    problem(
        "unavailable",
        503,
        "Service temporarily unavailable",
        "Retry after the number of seconds in `Retry-After`.",
    ),
    problem(
        "storage-full",
        507,
        "Insufficient storage",
        "Nothing was changed. The operator must free disk space before the request can succeed.",
    ),
];

/// Returns the `OpenAPI` schema of a problem's `code`.
pub(super) fn code_schema() -> RefOr<Schema> {
    let codes: BTreeSet<_> = ALL.iter().map(|problem| problem.code).collect();
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(codes))
        .description(Some(
            "A stable, machine-readable code; `/problems/{code}` explains it.",
        ))
        .into()
}

/// Returns the problem with this code, or the first one if the code comes with more than one status.
pub fn by_code(code: &str) -> Option<&'static Problem> {
    ALL.iter().find(|problem| problem.code == code)
}

/// Returns the problem for an error status that was set without an [`Error`](crate::core::error::Error),
/// e.g. by the router.
pub fn by_status(status: u16) -> Option<&'static Problem> {
    let general = match status {
        400 => "malformed-json",
        401 => "unauthorized",
        422 => "validation-failed",
        409 => return None,
        _ => return ALL.iter().find(|problem| problem.status == status),
    };
    by_code(general)
}
