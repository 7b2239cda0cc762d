//! The table of problem codes: what each means and what to do. `/problems/{code}` shows it.

use std::collections::BTreeSet;

use utoipa::openapi::{ObjectBuilder, RefOr, Type, schema::Schema};

/// One stable code.
#[derive(Debug, Clone, Copy)]
pub struct Problem {
    pub code: &'static str,
    pub status: u16,
    pub title: &'static str,
    /// What the client can do.
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

pub const ALL: &[Problem] = &[
    problem(
        "malformed-json",
        400,
        "The body is not JSON",
        "Send a body that is valid JSON (RFC 8259).",
    ),
    problem(
        "invalid-query",
        400,
        "The query string is wrong",
        "Check the names and values of the query parameters; unknown ones are refused so that a typo never passes in silence.",
    ),
    problem(
        "invalid-header",
        400,
        "A header is wrong",
        "Correct the header that `detail` names.",
    ),
    problem(
        "invalid-token",
        400,
        "The link is not valid",
        "It is unknown, used or expired: ask for a new one.",
    ),
    problem(
        "invalid-code",
        400,
        "The code is not valid",
        "It is wrong, was tried five times, used, or is older than ten minutes: ask for a new one.",
    ),
    problem(
        "unauthorized",
        401,
        "Sign in first",
        "Send `Authorization: Bearer <accessToken>` with a token that has not expired and whose session has not ended.",
    ),
    problem(
        "invalid-credentials",
        401,
        "Wrong email or password",
        "Check both; the answer is the same whether the account exists or not.",
    ),
    problem(
        "invalid-token",
        401,
        "The token is not valid",
        "It is unknown, used or expired: sign in again.",
    ),
    problem(
        "invalid-signature",
        401,
        "The signature is missing or wrong",
        "Sign the raw body with HMAC-SHA256 under the webhook secret and send it as hex in `X-Razorpay-Signature`.",
    ),
    problem(
        "forbidden",
        403,
        "You may not do this",
        "This needs another role, or a browser page of the shop's own origin.",
    ),
    problem(
        "not-found",
        404,
        "There is no such thing",
        "Check the path and the id; what belongs to somebody else is not found either.",
    ),
    problem(
        "method-not-allowed",
        405,
        "This route does not take that method",
        "Use one of the methods that `Allow` lists.",
    ),
    problem(
        "request-timeout",
        408,
        "The request took too long to arrive",
        "Send it again, faster.",
    ),
    problem(
        "amount-too-small",
        409,
        "The payment provider takes no sum so small",
        "Put more into the cart; `detail` tells the least that can be paid.",
    ),
    problem(
        "cart-empty",
        409,
        "The cart is empty",
        "Put something into the cart first.",
    ),
    problem(
        "category-exists",
        409,
        "A category of that name exists",
        "Use the existing category or another name.",
    ),
    problem(
        "category-in-use",
        409,
        "Products are still in this category",
        "Move or delete its products first.",
    ),
    problem(
        "email-taken",
        409,
        "An account with that address exists",
        "Sign in, or register with another address.",
    ),
    problem(
        "illegal-transition",
        409,
        "The order cannot go from its state to that one",
        "Read the order again; its `status` tells what may follow.",
    ),
    problem(
        "insufficient-stock",
        409,
        "There is not enough in stock",
        "Ask for at most what `errors` says is available.",
    ),
    problem(
        "last-admin",
        409,
        "This is the last admin",
        "Make another account an admin first.",
    ),
    problem(
        "not-unmatched",
        409,
        "This payment needs nobody",
        "Only an unmatched one can be resolved; `GET /admin/payments?status=unmatched` lists them.",
    ),
    problem(
        "refund-exceeds-captured",
        409,
        "That much cannot go back",
        "Read the order again: `payment` tells what was paid and what went back, or is on its way.",
    ),
    problem(
        "total-changed",
        409,
        "The total is not the expected one",
        "Show the customer the cart again: a price or a quantity has changed.",
    ),
    problem(
        "total-out-of-range",
        409,
        "The cart comes to more than one order can",
        "Order fewer things at once: a total is at most 2^53 − 1 in the currency's minor unit.",
    ),
    problem(
        "precondition-failed",
        412,
        "It was changed meanwhile",
        "Read it again and repeat the change with the new `ETag`.",
    ),
    problem(
        "payload-too-large",
        413,
        "The body is too large",
        "Send less: 256 KiB for JSON, 5 MiB for an image.",
    ),
    problem(
        "unsupported-media-type",
        415,
        "The body's format is not supported",
        "Send `application/json` unless the route says otherwise; images must be JPEG, PNG, WebP or GIF.",
    ),
    problem(
        "validation-failed",
        422,
        "A value is wrong",
        "Correct the fields that `errors` names.",
    ),
    problem(
        "idempotency-key-reused",
        422,
        "The key was used for another body",
        "Use a new `Idempotency-Key` for a new request.",
    ),
    problem(
        "invalid-image",
        422,
        "The image cannot be used",
        "Send a whole JPEG, PNG, WebP or GIF within the limit that `detail` names (16 megapixels unless the shop says otherwise), at most 8 for a product.",
    ),
    problem(
        "precondition-required",
        428,
        "`If-Match` is required",
        "Read the product and send its `ETag` as `If-Match`, or change the stock by a delta.",
    ),
    problem(
        "too-many-requests",
        429,
        "Too many requests",
        "Wait as long as `Retry-After` says. After too many wrong passwords, a password reset lets you in at once.",
    ),
    problem(
        "internal",
        500,
        "Something went wrong on our side",
        "Try again later; the `requestId` finds it in the log.",
    ),
    problem(
        "unavailable",
        503,
        "Not available just now",
        "Try again after the seconds that `Retry-After` says.",
    ),
    problem(
        "storage-full",
        507,
        "The disk is full",
        "Nothing was changed; the operator has to make room.",
    ),
];

/// The schema of a problem's `code`.
pub(super) fn code_schema() -> RefOr<Schema> {
    let codes: BTreeSet<_> = ALL.iter().map(|problem| problem.code).collect();
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(codes))
        .description(Some("Stable; `/problems/{code}` explains it."))
        .into()
}

/// The problem of that code; the first, where it stands for more than one status.
pub fn by_code(code: &str) -> Option<&'static Problem> {
    ALL.iter().find(|problem| problem.code == code)
}

/// The problem that stands for a status no handler explained.
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
