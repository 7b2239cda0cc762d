//! Webhooks of the payment provider, valid and invalid.

use http::Method;
use serde_json::{Value, json};

use super::state::{Request, State};
use crate::{
    conformance::rng::NUMBERS,
    support::provider::{WEBHOOK, event, with},
};

const EVENTS: [&str; 8] = [
    "payment.captured",
    "payment.captured",
    "payment.captured",
    "payment.captured",
    "order.paid",
    "payment.failed",
    "payment.failed",
    "payment.authorized",
];

/// A placeholder in a body, to be replaced by a value that `serde_json` cannot build.
const PLACEHOLDER: &str = "a-placeholder";

/// JSON values to replace a text.
const TEXTS: &[&str] = &[
    r#""\u0000""#,
    r#""order_\u0000""#,
    r#""\ud800""#,
    r#""\udc00\ud800""#,
    r#""\ud83d\ude00""#,
    r#""\uffff""#,
    r#""""#,
    r#""'; --""#,
    "7",
    "null",
    "[]",
];

pub(super) fn deliver(state: &mut State) -> Request {
    let recent = &state.orders[state.orders.len().saturating_sub(8)..];
    let order = state.rng.choose(recent);
    let order = order.unwrap_or_else(|| json!({ "payment": {}, "totalAmount": 5 }));
    let name = state.rng.pick(&EVENTS).to_owned();
    let payment = match (state.rng.below(4), order["number"].as_str()) {
        (0, _) | (_, None) => format!("pay_{}", state.rng.below(12)),
        (_, Some(number)) => format!("pay_{number}"),
    };
    let payload = if state.rng.one_in(6) {
        refund(state, &payment)
    } else {
        event(&name, &order, &payment)
    };
    let body = mutated(state, payload).into_bytes();
    let body = match state.rng.below(40) {
        0 => Vec::new(),
        1 => b"not JSON".to_vec(),
        2 => vec![0xff, 0, 0xfe],
        3 => body[..body.len() / 2].to_vec(),
        4 => [b"\xef\xbb\xbf", &body[..]].concat(),
        5 => vec![b'['; 300],
        _ => body,
    };
    let mut request = Request::new(Method::POST, WEBHOOK).body(body);
    request.is_signed = !state.rng.one_in(15);
    if !request.is_signed && state.rng.one_in(2) {
        request = request.header("x-razorpay-signature", "00".repeat(32));
    }
    with_event_id(state, request)
}

/// Returns an event about a refund that the shop did not request.
fn refund(state: &mut State, payment: &str) -> Value {
    let name = state
        .rng
        .pick(&["refund.processed", "refund.failed"])
        .to_owned();
    let id = format!("rfnd_{}", state.rng.below(12));
    let refund = json!({
        "id": id,
        "amount": state.rng.between(1, 2000),
        "payment_id": payment,
        "receipt": null,
    });
    json!({ "event": name, "payload": { "refund": { "entity": refund }, "payment": { "entity": {
        "id": payment, "amount": 5, "currency": "INR", "order_id": null,
    } } } })
}

/// Returns the event as JSON, with a changed value in half of the cases.
fn mutated(state: &mut State, payload: Value) -> String {
    let marked = |payload: Value, field: &str| with(payload, field, json!(PLACEHOLDER));
    let quoted = format!("\"{PLACEHOLDER}\"");
    let text = state.rng.pick(TEXTS).to_owned();
    match state.rng.below(24) {
        0 => with(payload, "amount", json!(1)).to_string(),
        1 | 2 => {
            let number = state.rng.pick(NUMBERS).to_owned();
            marked(payload, "amount")
                .to_string()
                .replace(&quoted, &number)
        }
        3 => with(payload, "currency", json!("USD")).to_string(),
        4 => marked(payload, "currency")
            .to_string()
            .replace(&quoted, &text),
        5 => marked(payload, "id").to_string().replace(&quoted, &text),
        6 => marked(payload, "order_id")
            .to_string()
            .replace(&quoted, &text),
        7 => marked(payload, "method")
            .to_string()
            .replace(&quoted, &text),
        8 => {
            let mut payload = payload;
            payload["event"] = json!(PLACEHOLDER);
            payload.to_string().replace(&quoted, &text)
        }
        9 => with(payload, "order_id", json!("order_of_nobody")).to_string(),
        10 => with(payload, "id", json!(state.rng.chars(1, 4000))).to_string(),
        11 => {
            let mut payload = payload;
            payload["event"] = json!(state.rng.text());
            payload.to_string()
        }
        12 => {
            let mut payload = payload;
            payload["payload"] = json!({});
            payload.to_string()
        }
        _ => payload.to_string(),
    }
}

/// Adds an event id. There are few ids, so that some are repeated.
fn with_event_id(state: &mut State, request: Request) -> Request {
    const NAME: &str = "x-razorpay-event-id";
    match state.rng.below(20) {
        0 => request,
        1 => request.header(NAME, vec![0xff, b'\t', 0x80, b' ', 0xe9]),
        2 => request.header(NAME, "a").header(NAME, "b"),
        3 => request.header(NAME, "é\u{10ffff}"),
        4 => request.header(NAME, "x".repeat(5000)),
        5 => request.header(NAME, ""),
        _ => {
            let number = state.rng.below(40);
            request.header(NAME, format!("ev_{number}"))
        }
    }
}
