//! What the stand-in knows: orders, payments, refunds, and what it tells of them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::shop::BEGINNING;

pub(super) struct Books {
    pub(super) orders: Vec<Value>,
    pub(super) payments: Vec<Value>,
    pub(super) refunds: Vec<Value>,
    /// What was asked for by a key, and which refund came of it.
    keys: BTreeMap<String, (Value, String)>,
    pub(super) fresh_refund: &'static str,
    made: i64,
}

/// A webhook, as it is sent.
pub(crate) struct Told {
    /// Goes into the header `x-razorpay-event-id`.
    pub(crate) id: String,
    pub(crate) body: String,
}

impl Default for Books {
    fn default() -> Self {
        Books {
            orders: Vec::new(),
            payments: Vec::new(),
            refunds: Vec::new(),
            keys: BTreeMap::new(),
            fresh_refund: "processed",
            made: 0,
        }
    }
}

impl Books {
    /// The next id of a kind, and the moment that it is made at.
    fn next(&mut self, prefix: &str) -> (String, i64) {
        self.made += 1;
        let (id, at) = (format!("{prefix}{:014}", self.made), BEGINNING.seconds());
        (id, at + self.made)
    }

    pub(super) fn order(&mut self, body: &Value) -> Result<Value, String> {
        let amount = body["amount"]
            .as_i64()
            .ok_or("The amount must be an integer.")?;
        let currency = body["currency"]
            .as_str()
            .ok_or("The currency field is required.")?;
        if amount < least(currency) {
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

    /// A refund that is asked for by a key: the same one is made once.
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
        let asked = json!([payment_id, body]);
        if let Some((before, refund)) = self.keys.get(&key).cloned() {
            if before != asked {
                return Err(
                    "Different request with the same idempotency key has already been processed."
                        .to_owned(),
                );
            }
            return Ok(find(&mut self.refunds, &refund).unwrap().clone());
        }
        let refund = self.refund(payment_id, body)?;
        let id = refund["id"].as_str().unwrap().to_owned();
        self.keys.insert(key, (asked, id));
        Ok(refund)
    }

    pub(super) fn refund(&mut self, payment_id: &str, body: &Value) -> Result<Value, String> {
        let payment =
            find(&mut self.payments, payment_id).ok_or("The id provided does not exist")?;
        let (whole, back) = (
            number(payment, "amount"),
            number(payment, "amount_refunded"),
        );
        let amount = match &body["amount"] {
            Value::Null => whole - back,
            amount => amount.as_i64().ok_or("The amount must be an integer.")?,
        };
        let least = least(payment["currency"].as_str().unwrap());
        let why_not = match payment["status"].as_str() {
            Some("refunded") => "The payment has been fully refunded already",
            Some("captured") if amount < least => "The amount must be at least INR 1.00",
            Some("captured") if amount > whole - back => {
                "The total refund amount is greater than the refund payment amount"
            }
            Some("captured") => "",
            _ => "The payment status should be captured for action to be taken",
        };
        if !why_not.is_empty() {
            return Err(why_not.to_owned());
        }
        let currency = payment["currency"].clone();
        let (id, created_at) = self.next("rfnd_");
        let refund = json!({
            "id": id, "entity": "refund", "amount": amount, "currency": currency,
            "payment_id": payment_id, "notes": [], "receipt": body["receipt"],
            "acquirer_data": { "arn": null }, "created_at": created_at, "batch_id": null,
            "status": self.fresh_refund, "speed_processed": "normal", "speed_requested": "normal",
        });
        self.refunds.push(refund.clone());
        self.add_up(payment_id);
        Ok(refund)
    }

    pub(super) fn settle(&mut self, refund_id: &str, status: &str) -> Value {
        let refund = find(&mut self.refunds, refund_id).unwrap();
        refund["status"] = json!(status);
        let refund = refund.clone();
        self.add_up(refund["payment_id"].as_str().unwrap());
        refund
    }

    /// Brings a payment to what its refunds come to.
    fn add_up(&mut self, payment_id: &str) {
        let ours =
            |refund: &&Value| refund["payment_id"] == payment_id && refund["status"] != "failed";
        let back: i64 = self
            .refunds
            .iter()
            .filter(ours)
            .map(|it| number(it, "amount"))
            .sum();
        let payment = find(&mut self.payments, payment_id).unwrap();
        let is_all = back == number(payment, "amount");
        payment["amount_refunded"] = json!(back);
        payment["status"] = json!(if is_all { "refunded" } else { "captured" });
        payment["refund_status"] = match back {
            0 => Value::Null,
            _ => json!(if is_all { "full" } else { "partial" }),
        };
    }

    pub(super) fn tell(&mut self, name: &str, id: &str) -> Told {
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
            "contains": contains, "payload": payload, "created_at": BEGINNING.seconds() + self.made,
        });
        let (id, _) = self.next("");
        let backwards = self.made % 2 == 1;
        Told {
            id,
            body: written(&event, backwards),
        }
    }
}

fn find<'a>(all: &'a mut [Value], id: &str) -> Option<&'a mut Value> {
    all.iter_mut().find(|entity| entity["id"] == id)
}

fn number(entity: &Value, field: &str) -> i64 {
    entity[field].as_i64().unwrap()
}

/// The least that is taken or given back, in the currency's minor unit.
fn least(currency: &str) -> i64 {
    if currency == "INR" { 100 } else { 1 }
}

/// JSON, with its keys in one order or the other.
fn written(value: &Value, backwards: bool) -> String {
    match value {
        Value::Object(map) => {
            let pair = |(key, value)| format!("{}:{}", json!(key), written(value, backwards));
            let mut pairs: Vec<String> = map.iter().map(pair).collect();
            if backwards {
                pairs.reverse();
            }
            format!("{{{}}}", pairs.join(","))
        }
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| written(item, backwards)).collect();
            format!("[{}]", items.join(","))
        }
        other => other.to_string(),
    }
}
