//! Razorpay's webhooks (<https://razorpay.com/docs/webhooks/payloads/>): headers, envelope and events.

use bytes::Bytes;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};

use super::signature;
use crate::{
    core::{
        error::{Error, Kind, Result},
        problem::ProblemType,
    },
    infra::{
        config::Secret,
        ports::gateway::{
            EventKind, GatewayEvent, GatewayPayment, GatewayPaymentStatus, GatewayRefund,
            GatewayRefundStatus, ReportedPayment, ReportedRefund, WebhookFormat,
        },
    },
};

pub(super) const SIGNATURE: &str = "x-razorpay-signature";
pub(super) const EVENT_ID: &str = "x-razorpay-event-id";

/// The maximum length of a name or id, in bytes; Razorpay's own have about twenty.
const MAX_TEXT_LEN: usize = 255;

/// A name or id that both databases can store and index: short, without a NUL character. A body with any other one
/// is unreadable.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Text(String);

impl TryFrom<String> for Text {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        if text.len() > MAX_TEXT_LEN || text.contains('\0') {
            return Err("must be at most 255 bytes without a NUL character");
        }
        Ok(Text(text))
    }
}

/// The fields of the envelope that are used; others are ignored.
#[derive(Debug, Deserialize)]
struct Envelope {
    event: Text,
    payload: Payload,
}

#[derive(Debug, Deserialize)]
struct Payload {
    payment: Option<Entity<Payment>>,
    refund: Option<Entity<Refund>>,
}

#[derive(Debug, Deserialize)]
struct Entity<T> {
    entity: T,
}

#[derive(Debug, Deserialize)]
struct Payment {
    id: Text,
    amount: i64,
    currency: String,
    order_id: Option<Text>,
}

/// `receipt` is the shop's own id of the refund.
#[derive(Debug, Deserialize)]
struct Refund {
    id: Text,
    amount: i64,
    payment_id: Text,
    receipt: Option<Text>,
}

/// Razorpay's webhooks: one event each.
pub(super) struct Webhooks;

impl WebhookFormat for Webhooks {
    /// Checks that the signature header appears once and has the form of a signature.
    fn check_headers(&self, headers: &HeaderMap) -> Result<()> {
        signature_of(headers).map(drop)
    }

    fn verify(
        &self,
        secrets: &[Secret],
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Vec<GatewayEvent>> {
        if !signature::is_valid(secrets, body, signature_of(headers)?) {
            return Err(invalid_signature());
        }
        let id = single(headers, EVENT_ID).map(|id| String::from_utf8_lossy(id).into_owned());
        let mut events = self.parse(body);
        for event in &mut events {
            event.id.clone_from(&id);
        }
        Ok(events)
    }

    fn parse(&self, body: &[u8]) -> Vec<GatewayEvent> {
        let event = match serde_json::from_slice::<Envelope>(body) {
            Ok(envelope) => event(envelope),
            Err(_) => GatewayEvent::unreadable(),
        };
        vec![event]
    }

    fn format_payment(&self, payment: &GatewayPayment) -> Option<Bytes> {
        let event = match payment.status {
            GatewayPaymentStatus::Captured => "payment.captured",
            GatewayPaymentStatus::Failed => "payment.failed",
            GatewayPaymentStatus::Open => return None,
        };
        Some(format(event, "payment", &payment.raw))
    }

    fn format_refund(&self, refund: &GatewayRefund) -> Option<Bytes> {
        let event = match refund.status {
            GatewayRefundStatus::Processed => "refund.processed",
            GatewayRefundStatus::Failed => "refund.failed",
            GatewayRefundStatus::Pending => return None,
        };
        Some(format(event, "refund", &refund.raw))
    }
}

fn event(envelope: Envelope) -> GatewayEvent {
    let Envelope {
        event: Text(name),
        payload: Payload { payment, refund },
    } = envelope;
    let kind = match name.as_str() {
        "payment.captured" | "order.paid" => EventKind::PaymentCaptured,
        "payment.failed" => EventKind::PaymentFailed,
        "refund.processed" => EventKind::RefundProcessed,
        "refund.failed" => EventKind::RefundFailed,
        _ => EventKind::Other,
    };
    GatewayEvent {
        id: None,
        name: Some(name),
        kind,
        payment: payment.map(|payment| {
            let payment = payment.entity;
            ReportedPayment {
                id: payment.id.0,
                amount: payment.amount,
                currency: payment.currency,
                order_id: payment.order_id.map(|id| id.0),
            }
        }),
        refund: refund.map(|refund| {
            let refund = refund.entity;
            ReportedRefund {
                id: refund.id.0,
                amount: refund.amount,
                payment_id: refund.payment_id.0,
                reference: refund.receipt.map(|receipt| receipt.0),
            }
        }),
    }
}

fn format(event: &str, kind: &str, entity: &Value) -> Bytes {
    let body = json!({ "event": event, "payload": { kind: { "entity": entity } } });
    Bytes::from(body.to_string())
}

/// Returns a payment from its entity in a list. Missing fields get defaults: what is applied is parsed strictly
/// from the event's body.
pub(super) fn payment(entity: Value) -> GatewayPayment {
    GatewayPayment {
        id: entity["id"].as_str().unwrap_or_default().to_owned(),
        status: match entity["status"].as_str() {
            Some("captured" | "refunded") => GatewayPaymentStatus::Captured,
            Some("failed") => GatewayPaymentStatus::Failed,
            _ => GatewayPaymentStatus::Open,
        },
        refunded: entity["amount_refunded"].as_i64().unwrap_or_default(),
        raw: entity,
    }
}

/// Returns a refund from its entity in a list, with defaults for missing fields.
pub(super) fn refund(entity: Value) -> GatewayRefund {
    GatewayRefund {
        id: entity["id"].as_str().unwrap_or_default().to_owned(),
        status: refund_status(entity["status"].as_str()),
        raw: entity,
    }
}

pub(super) fn refund_status(status: Option<&str>) -> GatewayRefundStatus {
    match status {
        Some("processed") => GatewayRefundStatus::Processed,
        Some("failed") => GatewayRefundStatus::Failed,
        _ => GatewayRefundStatus::Pending,
    }
}

fn signature_of(headers: &HeaderMap) -> Result<&[u8]> {
    single(headers, SIGNATURE)
        .filter(|signature| signature::is_well_formed(signature))
        .ok_or_else(invalid_signature)
}

/// A webhook without a valid signature.
pub const INVALID_SIGNATURE: ProblemType = ProblemType::new(
    Kind::Unauthorized("invalid-signature"),
    "Webhook signature is missing or wrong",
    "Compute the HMAC-SHA256 of the raw request body with the webhook secret as the key, and send it in hexadecimal in `X-Razorpay-Signature`.",
);

fn invalid_signature() -> Error {
    INVALID_SIGNATURE.error("`X-Razorpay-Signature` is missing or does not sign this body")
}

/// Returns the value of a header that appears exactly once.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value.as_bytes()),
        _ => None,
    }
}
