//! Simulates a customer on Razorpay's payment page: which webhooks are sent, and in which order they arrive. The
//! caller signs and sends them.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    super::{signature, webhook},
    Mock, SimulatedPayment,
};
use crate::{
    core::{error::Result, money::Money},
    infra::{config::Secret, db::Tx},
};

/// A customer on the provider's payment page, and how the webhooks arrive.
#[derive(Debug, Clone, Copy, Default)]
pub struct SimulatedCheckout {
    /// The payment fails.
    pub fails: bool,
    /// A first attempt fails before the one that pays.
    pub fails_first: bool,
    /// How many times all webhooks arrive again, under the same ids.
    pub duplicates: u32,
    /// The webhooks arrive in reverse order.
    pub is_reordered: bool,
}

/// A webhook that is not signed yet.
#[derive(Debug, Clone)]
pub struct Webhook {
    pub event_id: String,
    pub body: Bytes,
}

impl Webhook {
    /// Returns the headers of the webhook, among them its signature with the secret.
    pub fn headers(&self, secret: &Secret) -> [(&'static str, String); 2] {
        [
            (webhook::SIGNATURE, signature::sign(secret, &self.body)),
            (webhook::EVENT_ID, self.event_id.clone()),
        ]
    }
}

/// The result of a simulated checkout.
#[derive(Debug, Clone)]
pub struct CheckoutResult {
    /// The provider's id of the last payment.
    pub payment_id: String,
    /// In order of arrival.
    pub webhooks: Vec<Webhook>,
}

impl SimulatedCheckout {
    /// Writes the payments to the provider's record. Like Razorpay, sends `payment.failed` for a failed payment,
    /// and both `payment.captured` and `order.paid` for a captured one.
    pub fn play(
        self,
        tx: &mut Tx<'_>,
        order_id: &str,
        amount: Money,
        currency: &str,
    ) -> Result<CheckoutResult> {
        let payment = |fails| SimulatedPayment {
            order_id,
            amount,
            currency,
            fails,
        };
        let mut webhooks = Vec::new();
        if self.fails || self.fails_first {
            let failed = Mock::pay(tx, &payment(true))?;
            webhooks.push(new_webhook(
                tx,
                &Mock::event("payment.failed", &failed, tx.now()),
            ));
            if self.fails {
                return Ok(self.result(&failed, webhooks));
            }
        }
        let captured = Mock::pay(tx, &payment(false))?;
        webhooks.push(new_webhook(
            tx,
            &Mock::event("payment.captured", &captured, tx.now()),
        ));
        let mut paid = Mock::event("order.paid", &captured, tx.now());
        paid["contains"] = json!(["payment", "order"]);
        paid["payload"]["order"] = json!({ "entity": order(&captured) });
        webhooks.push(new_webhook(tx, &paid));
        Ok(self.result(&captured, webhooks))
    }

    fn result(self, last: &Value, mut webhooks: Vec<Webhook>) -> CheckoutResult {
        if self.is_reordered {
            webhooks.reverse();
        }
        let once = webhooks.clone();
        for _ in 0..self.duplicates {
            webhooks.extend_from_slice(&once);
        }
        CheckoutResult {
            payment_id: last["id"].as_str().unwrap_or_default().to_owned(),
            webhooks,
        }
    }
}

fn new_webhook(tx: &Tx<'_>, event: &Value) -> Webhook {
    Webhook {
        event_id: Mock::event_id(tx.rng()),
        body: event.to_string().into(),
    }
}

/// Returns the order entity of a captured payment, as Razorpay would show it.
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
