//! The provider's webhook. Unsigned requests are rejected and not stored.

use std::sync::Arc;

use axum::extract::Request;
use http::StatusCode;

use crate::{
    app::State,
    core::error::Result,
    domain::{payments::Delivery, settlement},
    infra::web::body::read_body,
};

/// The path of the webhook below `/api/v1`.
pub const WEBHOOK_PATH: &str = "/payments/razorpay/webhook";

/// The maximum size of a webhook's body, in bytes.
const MAX_BODY: usize = 1024 * 1024;

/// Receive an event of the payment provider
///
/// Razorpay's format, any content type, up to 1 MiB. Every signed request is stored and answered with 200,
/// including repeats, unknown events and unreadable bodies.
#[utoipa::path(post, path = WEBHOOK_PATH, tag = "payments",
    params(
        ("X-Razorpay-Signature" = String, Header,
            description = "Hex HMAC-SHA256 of the raw body keyed with the webhook secret"),
        ("X-Razorpay-Event-Id" = Option<String>, Header, description = "Identifies repeats"),
    ),
    request_body(content = Object, description = "Razorpay's envelope", example = json!({
        "entity": "event",
        "event": "payment.captured",
        "payload": { "payment": { "entity": {
            "id": "pay_PzJ5tR7vB3xN9d",
            "order_id": "order_PzJ4mC1yW8kQ2n",
            "amount": 299_800,
            "currency": "INR",
            "status": "captured",
        } } },
    })),
    responses(
        (status = 200, description = "Stored"),
        (status = 401, description = "`invalid-signature`: nothing changed"),
    ))]
pub(crate) async fn receive_webhook(
    axum::extract::State(app): State,
    request: Request,
) -> Result<StatusCode> {
    // Reject an unsigned request before its body takes memory.
    app.gateway.webhooks().check_headers(request.headers())?;
    let headers = request.headers().clone();
    let body = read_body(request, MAX_BODY).await?;
    let events = app
        .gateway
        .webhooks()
        .verify(&app.webhook_secrets, &headers, &body)?;
    let delivery = Delivery {
        provider: app.gateway.name(),
        body,
        events,
        is_signed: true,
    };
    let gateway = Arc::clone(&app.gateway);
    app.db
        .write("payments.receive", move |tx| {
            settlement::receive(tx, &*gateway, &delivery)
        })
        .await?;
    Ok(StatusCode::OK)
}
