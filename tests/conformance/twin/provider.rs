//! What the payment provider tells, or somebody who knows its secret.

use http::Method;
use serde_json::{Value, json};

use super::state::{Request, World};
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

/// Stands in a body for what is not JSON until it is put in.
const MARK: &str = "a-mark-to-be-replaced";

/// What is written in place of a text.
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

pub(super) fn deliver(world: &mut World) -> Request {
    let recent = &world.orders[world.orders.len().saturating_sub(8)..];
    let order = world.dice.any(recent);
    let order = order.unwrap_or_else(|| json!({ "payment": {}, "totalAmount": 5 }));
    let name = world.dice.pick(&EVENTS).to_owned();
    let payment = match (world.dice.below(4), order["number"].as_str()) {
        (0, _) | (_, None) => format!("pay_{}", world.dice.below(12)),
        (_, Some(number)) => format!("pay_{number}"),
    };
    let told = if world.dice.once_in(6) {
        refund(world, &payment)
    } else {
        event(&name, &order, &payment)
    };
    let body = changed(world, told).into_bytes();
    let body = match world.dice.below(40) {
        0 => Vec::new(),
        1 => b"not JSON".to_vec(),
        2 => vec![0xff, 0, 0xfe],
        3 => body[..body.len() / 2].to_vec(),
        4 => [b"\xef\xbb\xbf", &body[..]].concat(),
        5 => vec![b'['; 300],
        _ => body,
    };
    let mut request = Request::new(Method::POST, WEBHOOK).body(body);
    request.signed = !world.dice.once_in(15);
    if !request.signed && world.dice.once_in(2) {
        request = request.with("x-razorpay-signature", "00".repeat(32));
    }
    with_event_id(world, request)
}

/// What is told of a refund that the shop did not ask for.
fn refund(world: &mut World, payment: &str) -> Value {
    let name = world
        .dice
        .pick(&["refund.processed", "refund.failed"])
        .to_owned();
    let id = format!("rfnd_{}", world.dice.below(12));
    let refund = json!({
        "id": id,
        "amount": world.dice.from(1, 2000),
        "payment_id": payment,
        "receipt": null,
    });
    json!({ "event": name, "payload": { "refund": { "entity": refund }, "payment": { "entity": {
        "id": payment, "amount": 5, "currency": "INR", "order_id": null,
    } } } })
}

/// The event, in every second case with another value somewhere.
fn changed(world: &mut World, told: Value) -> String {
    let marked = |told: Value, field: &str| with(told, field, json!(MARK));
    let quoted = format!("\"{MARK}\"");
    let text = world.dice.pick(TEXTS).to_owned();
    match world.dice.below(24) {
        0 => with(told, "amount", json!(1)).to_string(),
        1 | 2 => {
            let number = world.dice.pick(NUMBERS).to_owned();
            marked(told, "amount").to_string().replace(&quoted, &number)
        }
        3 => with(told, "currency", json!("USD")).to_string(),
        4 => marked(told, "currency").to_string().replace(&quoted, &text),
        5 => marked(told, "id").to_string().replace(&quoted, &text),
        6 => marked(told, "order_id").to_string().replace(&quoted, &text),
        7 => marked(told, "method").to_string().replace(&quoted, &text),
        8 => {
            let mut told = told;
            told["event"] = json!(MARK);
            told.to_string().replace(&quoted, &text)
        }
        9 => with(told, "order_id", json!("order_of_nobody")).to_string(),
        10 => with(told, "id", json!(world.dice.letters(1, 4000))).to_string(),
        11 => {
            let mut told = told;
            told["event"] = json!(world.dice.text());
            told.to_string()
        }
        12 => {
            let mut told = told;
            told["payload"] = json!({});
            told.to_string()
        }
        _ => told.to_string(),
    }
}

/// Mostly an id of few, so that deliveries are met again.
fn with_event_id(world: &mut World, request: Request) -> Request {
    const NAME: &str = "x-razorpay-event-id";
    match world.dice.below(20) {
        0 => request,
        1 => request.with(NAME, vec![0xff, b'\t', 0x80, b' ', 0xe9]),
        2 => request.with(NAME, "a").with(NAME, "b"),
        3 => request.with(NAME, "é\u{10ffff}"),
        4 => request.with(NAME, "x".repeat(5000)),
        5 => request.with(NAME, ""),
        _ => {
            let number = world.dice.below(40);
            request.with(NAME, format!("ev_{number}"))
        }
    }
}
