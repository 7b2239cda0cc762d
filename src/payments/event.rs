//! What a rightly signed delivery does: it is kept, and then its effect is read off the payment's
//! own state.

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{Payment, PaymentStatus, store};
use crate::{db::Tx, error::Result, id::OrderId, web::App};

/// A delivery as it came, its signature verified.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub event_id: Option<String>,
    pub body: bytes::Bytes,
}

impl Delivery {
    /// By the event's id and the body together: a provider that reuses an id for another body has
    /// sent another delivery.
    fn key(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(self.event_id.as_deref().unwrap_or_default().as_bytes());
        hasher.update([0]);
        hasher.update(Sha256::digest(&self.body));
        hasher.finalize().into()
    }
}

/// A name or an id of the provider's: one that every database can keep and look up. With another one
/// a delivery cannot be read.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Name(String);

/// In bytes; Razorpay's own are about twenty.
const LONGEST_NAME: usize = 255;

impl TryFrom<String> for Name {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        if text.len() > LONGEST_NAME || text.contains('\0') {
            return Err("must be at most 255 bytes without a NUL character");
        }
        Ok(Name(text))
    }
}

/// The parts of Razorpay's envelope that matter here; all else is let through.
#[derive(Debug, Deserialize)]
struct Envelope {
    event: Name,
    payload: Payload,
}

#[derive(Debug, Deserialize)]
struct Payload {
    payment: Option<Entity>,
}

#[derive(Debug, Deserialize)]
struct Entity {
    entity: ProviderPayment,
}

/// Razorpay's payment entity; amounts are in the currency's minor unit.
#[derive(Debug, Deserialize)]
struct ProviderPayment {
    id: Name,
    amount: i64,
    currency: String,
    order_id: Option<Name>,
}

/// What a delivery did to the order behind its payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    None,
    /// The money is there, for the first time.
    Captured(OrderId),
}

/// What became of a delivery, for the record.
struct Verdict {
    outcome: &'static str,
    order: Option<OrderId>,
    effect: Effect,
}

impl Verdict {
    fn of(outcome: &'static str) -> Verdict {
        Verdict {
            outcome,
            order: None,
            effect: Effect::None,
        }
    }

    fn about(outcome: &'static str, payment: &Payment) -> Verdict {
        Verdict {
            outcome,
            order: Some(payment.order),
            effect: Effect::None,
        }
    }
}

/// Keeps the delivery and applies it; a repeat changes nothing.
pub fn receive(tx: &mut Tx<'_>, app: &App, delivery: &Delivery) -> Result<Effect> {
    let key = delivery.key();
    if store::event_is_known(tx, &key)? {
        return Ok(Effect::None);
    }
    let envelope = serde_json::from_slice::<Envelope>(&delivery.body).ok();
    let (event, money) = match envelope {
        Some(envelope) => (
            Some(envelope.event.0),
            envelope.payload.payment.map(|p| p.entity),
        ),
        None => (None, None),
    };
    let verdict = match (event.as_deref(), &money) {
        (Some("payment.captured" | "order.paid"), Some(money)) => captured(tx, app, money)?,
        (Some("payment.failed"), Some(money)) => failed(tx, money)?,
        (Some(_), _) => Verdict::of("ignored"),
        (None, _) => Verdict::of("unreadable"),
    };
    store::insert_event(
        tx,
        &store::EventRow {
            key: &key,
            event_id: delivery.event_id.as_deref(),
            event: event.as_deref(),
            order: verdict.order,
            provider_payment_id: money.as_ref().map(|money| money.id.0.as_str()),
            amount: money.as_ref().map(|money| money.amount),
            outcome: verdict.outcome,
            body: &delivery.body,
        },
    )?;
    Ok(verdict.effect)
}

/// The outcomes that a person must see all begin so.
pub(super) const UNMATCHED: &str = "unmatched: ";

fn captured(tx: &mut Tx<'_>, app: &App, money: &ProviderPayment) -> Result<Verdict> {
    let Some(payment) = payment_of(tx, money)? else {
        return Ok(Verdict::of("unmatched: no such order"));
    };
    if payment.transaction_id.as_deref() == Some(money.id.0.as_str()) {
        return Ok(Verdict::about("repeated", &payment));
    }
    if money.amount != payment.amount.get() {
        return Ok(Verdict::about("unmatched: another amount", &payment));
    }
    if money.currency != app.config.currency.code() {
        return Ok(Verdict::about("unmatched: another currency", &payment));
    }
    if store::transaction_is_known(tx, &money.id.0)? {
        return Ok(Verdict::about(
            "unmatched: the payment belongs to another order",
            &payment,
        ));
    }
    if !matches!(
        payment.status,
        PaymentStatus::Created | PaymentStatus::Failed
    ) {
        return Ok(Verdict::about(
            "unmatched: the order is paid already",
            &payment,
        ));
    }
    store::capture(tx, payment.order, &money.id.0)?;
    Ok(Verdict {
        outcome: "captured",
        order: Some(payment.order),
        effect: Effect::Captured(payment.order),
    })
}

fn failed(tx: &mut Tx<'_>, money: &ProviderPayment) -> Result<Verdict> {
    let Some(payment) = payment_of(tx, money)? else {
        return Ok(Verdict::of("unmatched: no such order"));
    };
    if payment.status == PaymentStatus::Created {
        store::fail(tx, payment.order)?;
        return Ok(Verdict::about("failed", &payment));
    }
    Ok(Verdict::about("ignored", &payment))
}

fn payment_of(tx: &mut Tx<'_>, money: &ProviderPayment) -> Result<Option<Payment>> {
    match &money.order_id {
        Some(Name(order)) => store::by_provider_order(tx, order),
        None => Ok(None),
    }
}
