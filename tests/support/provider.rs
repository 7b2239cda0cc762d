//! Webhooks of the payment provider: Razorpay's envelope and signature.

use http::Method;
use serde_json::{Value, json};
use shop::infra::ports::gateway::razorpay::signature;

use super::{TestResponse, TestShop};

pub(crate) const WEBHOOK: &str = "/payments/razorpay/webhook";

/// Returns an event about the payment `id` of an order: `payment.captured`, `payment.failed` …
pub(crate) fn event(name: &str, order: &Value, id: &str) -> Value {
    json!({
        "entity": "event",
        "account_id": "acc_test",
        "event": name,
        "contains": ["payment"],
        "payload": { "payment": { "entity": {
            "id": id,
            "entity": "payment",
            "amount": order["totalAmount"],
            "currency": order["currency"],
            "status": name.trim_start_matches("payment."),
            "order_id": order["payment"]["providerOrderId"],
            "method": "upi",
            "notes": [],
            "created_at": 1_769_860_800,
        } } },
        "created_at": 1_769_860_800,
    })
}

/// Returns an event about a refund: `refund.processed` or `refund.failed`.
pub(crate) fn refund_event(name: &str, id: &str, payment: &str, amount: i64) -> Value {
    let status = name.trim_start_matches("refund.");
    json!({
        "entity": "event",
        "event": name,
        "contains": ["refund", "payment"],
        "payload": {
            "refund": { "entity": {
                "id": id,
                "entity": "refund",
                "amount": amount,
                "currency": "INR",
                "payment_id": payment,
                "notes": [],
                "receipt": null,
                "status": status,
                "created_at": 1_769_860_800,
            } },
        },
        "created_at": 1_769_860_800,
    })
}

/// Returns the event with another value in its payment.
pub(crate) fn with(mut event: Value, field: &str, value: Value) -> Value {
    event["payload"]["payment"]["entity"][field] = value;
    event
}

impl TestShop {
    /// Returns the signature of a webhook's body.
    pub(crate) fn signature(&self, body: &[u8]) -> String {
        signature::sign(&self.app.webhook_secrets[0], body)
    }

    /// Delivers a signed webhook.
    pub(crate) async fn deliver(&self, body: &[u8], event_id: &str) -> TestResponse {
        let signature = self.signature(body);
        let headers = [
            ("content-type", "application/json"),
            ("x-razorpay-signature", signature.as_str()),
            ("x-razorpay-event-id", event_id),
        ];
        self.anonymous()
            .raw(Method::POST, WEBHOOK, &headers, body.to_vec())
            .await
    }

    /// Captures the payment of an order.
    pub(crate) async fn capture(&self, order: &Value) {
        let number = order["number"].as_str().unwrap();
        let captured = event("payment.captured", order, &format!("pay_{number}"));
        let answer = self
            .deliver(captured.to_string().as_bytes(), &format!("ev_{number}"))
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}
