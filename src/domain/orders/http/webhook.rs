//! What the payment provider tells. Nothing that is not rightly signed is believed, or kept.

use std::sync::Arc;

use axum::extract::Request;
use http::{HeaderMap, StatusCode};

use crate::{
    app::State,
    core::error::{Error, Kind, Result},
    domain::{
        orders,
        payments::{Delivery, signature},
    },
    infra::web::body::read_body,
};

/// How large a webhook's body may be, in bytes.
const WEBHOOK_LIMIT: usize = 1024 * 1024;

const SIGNATURE: &str = "x-razorpay-signature";
const EVENT_ID: &str = "x-razorpay-event-id";

/// Take in what the payment provider tells
///
/// Razorpay's own format, any content type, up to 1 MiB. Whatever is rightly signed is stored and
/// answered 200: repeats, unknown events and unreadable bodies too.
#[utoipa::path(post, path = "/payments/razorpay/webhook", tag = "payments",
    params(
        ("X-Razorpay-Signature" = String, Header,
            description = "Hex HMAC-SHA256 of the raw body under the webhook's secret"),
        ("X-Razorpay-Event-Id" = Option<String>, Header, description = "Makes a repeat known"),
    ),
    request_body(content = Object, description = "Razorpay's envelope"),
    responses(
        (status = 200, description = "Stored"),
        (status = 401, description = "`invalid-signature`: nothing changed"),
    ))]
pub(crate) async fn receive_webhook(
    axum::extract::State(app): State,
    request: Request,
) -> Result<StatusCode> {
    let refused = || {
        let detail = "`X-Razorpay-Signature` is missing or does not sign this body";
        Error::new(Kind::Unauthorized("invalid-signature"), detail)
    };
    let headers = request.headers();
    // A request that cannot be signed is refused before its body costs anything.
    let signature = only(headers, SIGNATURE)
        .filter(|signature| signature::is_well_formed(signature))
        .ok_or_else(refused)?
        .to_vec();
    let event_id = only(headers, EVENT_ID).map(|id| String::from_utf8_lossy(id).into_owned());
    let body = read_body(request, WEBHOOK_LIMIT).await?;
    if !signature::is_valid(&app.webhook_secrets, &body, &signature) {
        return Err(refused());
    }
    let delivery = Delivery {
        event_id,
        body,
        is_signed: true,
    };
    let shop = Arc::clone(&app);
    app.db
        .write("orders.receive_payment", move |tx| {
            orders::receive_payment(tx, &shop, &delivery)
        })
        .await?;
    Ok(StatusCode::OK)
}

/// The value of a header that stands exactly once.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value.as_bytes()),
        _ => None,
    }
}
