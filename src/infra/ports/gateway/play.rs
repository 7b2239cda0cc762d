//! What Razorpay tells of a customer's visit to its checkout: which webhooks, and in which order they
//! reach the shop. Whoever sends them signs them; the secret is the shop's.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Mock, Play};
use crate::{
    core::{error::Result, money::Money},
    infra::db::Tx,
};

/// A customer at the provider's checkout, and how the shop hears of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Visit {
    /// Nothing is paid.
    pub fails: bool,
    /// A try that fails, before the one that pays.
    pub fails_first: bool,
    /// How often everything arrives once more, under the same ids.
    pub duplicates: u32,
    /// What was sent last arrives first.
    pub is_reordered: bool,
}

/// A webhook that is not signed yet.
#[derive(Debug, Clone)]
pub struct Webhook {
    pub event_id: String,
    pub body: Bytes,
}

/// What came of a visit.
#[derive(Debug, Clone)]
pub struct Played {
    /// The provider's id of the last payment.
    pub payment_id: String,
    /// In the order in which they arrive.
    pub webhooks: Vec<Webhook>,
}

impl Visit {
    /// Writes the visit's payments into the provider's books. As Razorpay does, it sends
    /// `payment.failed` for a payment that fails, and both `payment.captured` and `order.paid` for
    /// one that pays.
    pub fn play(
        self,
        tx: &mut Tx<'_>,
        order_id: &str,
        amount: Money,
        currency: &str,
    ) -> Result<Played> {
        let play = |fails| Play {
            order_id,
            amount,
            currency,
            fails,
        };
        let mut webhooks = Vec::new();
        if self.fails || self.fails_first {
            let failed = Mock::pay(tx, &play(true))?;
            webhooks.push(webhook(
                tx,
                &Mock::event("payment.failed", &failed, tx.now()),
            ));
            if self.fails {
                return Ok(self.arriving(&failed, webhooks));
            }
        }
        let captured = Mock::pay(tx, &play(false))?;
        webhooks.push(webhook(
            tx,
            &Mock::event("payment.captured", &captured, tx.now()),
        ));
        let mut paid = Mock::event("order.paid", &captured, tx.now());
        paid["contains"] = json!(["payment", "order"]);
        paid["payload"]["order"] = json!({ "entity": order(&captured) });
        webhooks.push(webhook(tx, &paid));
        Ok(self.arriving(&captured, webhooks))
    }

    /// All of them, and then, as often as it is wanted, all of them again.
    fn arriving(self, last: &Value, mut webhooks: Vec<Webhook>) -> Played {
        if self.is_reordered {
            webhooks.reverse();
        }
        let once = webhooks.clone();
        for _ in 0..self.duplicates {
            webhooks.extend_from_slice(&once);
        }
        Played {
            payment_id: last["id"].as_str().unwrap_or_default().to_owned(),
            webhooks,
        }
    }
}

fn webhook(tx: &Tx<'_>, event: &Value) -> Webhook {
    Webhook {
        event_id: Mock::event_id(tx.rng()),
        body: event.to_string().into(),
    }
}

/// The order that a payment has paid, as Razorpay would show it.
fn order(payment: &Value) -> Value {
    json!({
        "id": payment["order_id"],
        "entity": "order",
        "amount": payment["amount"],
        "amount_paid": payment["amount"],
        "amount_due": 0,
        "currency": payment["currency"],
        "status": "paid",
        "attempts": 1,
        "notes": [],
        "created_at": payment["created_at"],
    })
}
