//! The fake's record of orders, payments and refunds, and its webhooks.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::shop::BEGINNING;

pub(super) struct Record {
    pub(super) orders: Vec<Value>,
    pub(super) payments: Vec<Value>,
    pub(super) refunds: Vec<Value>,
    /// The request and the refund of each idempotency key.
    keys: BTreeMap<String, (Value, String)>,
    pub(super) new_refund_status: &'static str,
    /// How many ids were generated.
    counter: i64,
}

/// A webhook to deliver.
pub(crate) struct Webhook {
    /// The header `x-razorpay-event-id`.
    pub(crate) id: String,
    pub(crate) body: String,
}

impl Default for Record {
    fn default() -> Self {
        Record {
            orders: Vec::new(),
            payments: Vec::new(),
            refunds: Vec::new(),
            keys: BTreeMap::new(),
            new_refund_status: "processed",
            counter: 0,
        }
    }
}

impl Record {
    /// Returns the next id with that prefix, and its timestamp.
    fn next(&mut self, prefix: &str) -> (String, i64) {
        self.counter += 1;
        let (id, at) = (format!("{prefix}{:014}", self.counter), BEGINNING.seconds());
        (id, at + self.counter)
    }

    pub(super) fn order(&mut self, body: &Value) -> Result<Value, String> {
        let amount = body["amount"]
            .as_i64()
            .ok_or("The amount must be an integer.")?;
        let currency = body["currency"]
            .as_str()
            .ok_or("The currency field is required.")?;
        if amount < min_amount(currency) {
            return Err("Order amount less than minimum amount allowed".to_owned());
        }
        let receipt = body["receipt"].as_str().unwrap_or_default();
        if receipt.len() > 40 {
            return Err("receipt: the length must be no more than 40.".to_owned());
        }
        if self.orders.iter().any(|order| order["receipt"] == receipt) {
            return Err("Order receipt should be unique.".to_owned());
        }
        let (id, created_at) = self.next("order_");
        let order = json!({
            "id": id, "entity": "order", "amount": amount, "amount_paid": 0, "amount_due": amount,
            "currency": currency, "receipt": receipt, "offer_id": null, "status": "created",
            "attempts": 0, "notes": [], "created_at": created_at,
        });
        self.orders.push(order.clone());
        Ok(order)
    }

    pub(super) fn pay(&mut self, order_id: &str, succeeds: bool) -> Value {
        let (id, created_at) = self.next("pay_");
        let order = find(&mut self.orders, order_id).unwrap();
        order["attempts"] = json!(order["attempts"].as_i64().unwrap() + 1);
        order["status"] = json!(if succeeds { "paid" } else { "attempted" });
        if succeeds {
            order["amount_paid"] = order["amount"].clone();
            order["amount_due"] = json!(0);
        }
        let why = (!succeeds).then_some("BAD_REQUEST_ERROR");
        let payment = json!({
            "id": id, "entity": "payment", "amount": order["amount"], "currency": order["currency"],
            "status": if succeeds { "captured" } else { "failed" }, "order_id": order_id,
            "invoice_id": null, "international": false, "method": "upi", "amount_refunded": 0,
            "refund_status": null, "captured": succeeds, "description": null, "vpa": "ada@upi",
            "email": "ada@example.com", "contact": "+919000000000", "notes": [], "fee": 2, "tax": 0,
            "error_code": why, "error_description": why, "created_at": created_at,
        });
        self.payments.push(payment.clone());
        payment
    }

    /// Creates a refund; once for each idempotency key.
    pub(super) fn refund_once(
        &mut self,
        payment_id: &str,
        body: &Value,
        key: Option<String>,
    ) -> Result<Value, String> {
        let Some(key) = key else {
            return self.refund(payment_id, body);
        };
        let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if key.len() < 10 || !key.chars().all(is_letter) {
            return Err("The idempotency key is not valid".to_owned());
        }
        let request = json!([payment_id, body]);
        if let Some((before, refund)) = self.keys.get(&key).cloned() {
            if before != request {
                return Err(
                    "Different request with the same idempotency key has already been processed."
                        .to_owned(),
                );
            }
            return Ok(find(&mut self.refunds, &refund).unwrap().clone());
        }
        let refund = self.refund(payment_id, body)?;
        let id = refund["id"].as_str().unwrap().to_owned();
        self.keys.insert(key, (request, id));
        Ok(refund)
    }

    pub(super) fn refund(&mut self, payment_id: &str, body: &Value) -> Result<Value, String> {
        let payment =
            find(&mut self.payments, payment_id).ok_or("The id provided does not exist")?;
        let (captured_amount, refunded) = (
            number(payment, "amount"),
            number(payment, "amount_refunded"),
        );
        let amount = match &body["amount"] {
            Value::Null => captured_amount - refunded,
            amount => amount.as_i64().ok_or("The amount must be an integer.")?,
        };
        let min = min_amount(payment["currency"].as_str().unwrap());
        let error = match payment["status"].as_str() {
            Some("refunded") => "The payment has been fully refunded already",
            Some("captured") if amount < min => "The amount must be at least INR 1.00",
            Some("captured") if amount > captured_amount - refunded => {
                "The total refund amount is greater than the refund payment amount"
            }
            Some("captured") => "",
            _ => "The payment status should be captured for action to be taken",
        };
        if !error.is_empty() {
            return Err(error.to_owned());
        }
        let currency = payment["currency"].clone();
        let (id, created_at) = self.next("rfnd_");
        let refund = json!({
            "id": id, "entity": "refund", "amount": amount, "currency": currency,
            "payment_id": payment_id, "notes": [], "receipt": body["receipt"],
            "acquirer_data": { "arn": null }, "created_at": created_at, "batch_id": null,
            "status": self.new_refund_status, "speed_processed": "normal", "speed_requested": "normal",
        });
        self.refunds.push(refund.clone());
        self.update_refunded(payment_id);
        Ok(refund)
    }

    pub(super) fn finish_refund(&mut self, refund_id: &str, status: &str) -> Value {
        let refund = find(&mut self.refunds, refund_id).unwrap();
        refund["status"] = json!(status);
        let refund = refund.clone();
        self.update_refunded(refund["payment_id"].as_str().unwrap());
        refund
    }

    /// Updates a payment to the sum of its refunds.
    fn update_refunded(&mut self, payment_id: &str) {
        let ours =
            |refund: &&Value| refund["payment_id"] == payment_id && refund["status"] != "failed";
        let refunded: i64 = self
            .refunds
            .iter()
            .filter(ours)
            .map(|it| number(it, "amount"))
            .sum();
        let payment = find(&mut self.payments, payment_id).unwrap();
        let is_all = refunded == number(payment, "amount");
        payment["amount_refunded"] = json!(refunded);
        payment["status"] = json!(if is_all { "refunded" } else { "captured" });
        payment["refund_status"] = match refunded {
            0 => Value::Null,
            _ => json!(if is_all { "full" } else { "partial" }),
        };
    }

    pub(super) fn webhook(&mut self, name: &str, id: &str) -> Webhook {
        let mut payload = BTreeMap::new();
        let mut put = |kind, entity: &Value| payload.insert(kind, json!({ "entity": entity }));
        let payment_id = if name.starts_with("refund.") {
            let refund = find(&mut self.refunds, id).unwrap();
            put("refund", refund);
            refund["payment_id"].as_str().unwrap().to_owned()
        } else {
            id.to_owned()
        };
        let payment = find(&mut self.payments, &payment_id).unwrap();
        put("payment", payment);
        if name == "order.paid" {
            let order_id = payment["order_id"].as_str().unwrap();
            put("order", find(&mut self.orders, order_id).unwrap());
        }
        let contains: Vec<_> = payload.keys().collect();
        let event = json!({
            "entity": "event", "account_id": "acc_BFQ7uQEaa7j2z7", "event": name,
            "contains": contains, "payload": payload, "created_at": BEGINNING.seconds() + self.counter,
        });
        let (id, _) = self.next("");
        let descending = self.counter % 2 == 1;
        Webhook {
            id,
            body: format_json(&event, descending),
        }
    }
}

fn find<'a>(all: &'a mut [Value], id: &str) -> Option<&'a mut Value> {
    all.iter_mut().find(|entity| entity["id"] == id)
}

fn number(entity: &Value, field: &str) -> i64 {
    entity[field].as_i64().unwrap()
}

/// Returns the minimum amount, in the currency's minor unit.
fn min_amount(currency: &str) -> i64 {
    if currency == "INR" { 100 } else { 1 }
}

/// Formats JSON with its keys in ascending or descending order.
fn format_json(value: &Value, descending: bool) -> String {
    match value {
        Value::Object(map) => {
            let pair = |(key, value)| format!("{}:{}", json!(key), format_json(value, descending));
            let mut pairs: Vec<String> = map.iter().map(pair).collect();
            if descending {
                pairs.reverse();
            }
            format!("{{{}}}", pairs.join(","))
        }
        Value::Array(items) => {
            let items: Vec<_> = items
                .iter()
                .map(|item| format_json(item, descending))
                .collect();
            format!("[{}]", items.join(","))
        }
        other => other.to_string(),
    }
}
