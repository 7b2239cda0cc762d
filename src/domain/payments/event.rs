//! What a rightly signed delivery does: it is kept, and then its effect is read off the payment's
//! own state.

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{
    Refunded, store,
    verdict::{self, IGNORED, NO_ORDER, NO_PAYMENT, REPEATED, UNMATCHED, UNREADABLE, Verdict},
};
use crate::{
    app::App,
    core::{error::Result, id::OrderId},
    infra::db::Tx,
};

/// A delivery as it came.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub event_id: Option<String>,
    pub body: bytes::Bytes,
    /// Whether its signature was verified; otherwise the shop itself asked the provider.
    pub is_signed: bool,
}

impl Delivery {
    /// By the event's id and the body together: a provider that reuses an id for another body has
    /// sent another delivery.
    fn key(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(self.event_id.as_deref().unwrap_or_default().as_bytes());
        hasher.update([u8::from(!self.is_signed)]);
        hasher.update(Sha256::digest(&self.body));
        hasher.finalize().into()
    }
}

/// A name or an id of the provider's: one that every database can keep and look up. With another one
/// a delivery cannot be read.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Name(String);

/// In bytes; Razorpay's own are about twenty.
const LONGEST_NAME: usize = 255;

impl Name {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

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
pub(super) struct Envelope {
    pub(super) event: Name,
    pub(super) payload: Payload,
}

#[derive(Debug, Deserialize)]
pub(super) struct Payload {
    pub(super) payment: Option<Entity<ProviderPayment>>,
    pub(super) refund: Option<Entity<ProviderRefund>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Entity<T> {
    pub(super) entity: T,
}

/// Razorpay's payment entity; amounts are in the currency's minor unit.
#[derive(Debug, Deserialize)]
pub(super) struct ProviderPayment {
    pub(super) id: Name,
    pub(super) amount: i64,
    pub(super) currency: String,
    pub(super) order_id: Option<Name>,
}

/// Razorpay's refund entity. `receipt` is what the shop called it.
#[derive(Debug, Deserialize)]
pub(super) struct ProviderRefund {
    pub(super) id: Name,
    pub(super) amount: i64,
    pub(super) payment_id: Name,
    pub(super) receipt: Option<Name>,
}

impl Envelope {
    pub(super) fn payment(&self) -> Option<&ProviderPayment> {
        self.payload.payment.as_ref().map(|it| &it.entity)
    }

    pub(super) fn refund(&self) -> Option<&ProviderRefund> {
        self.payload.refund.as_ref().map(|it| &it.entity)
    }

    /// Whether it reports money that has arrived.
    pub(super) fn is_capture(&self) -> bool {
        ["payment.captured", "order.paid"].contains(&self.event.as_str())
    }
}

/// What a delivery did, for the order behind its payment to follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    None,
    /// The money is there, for the first time.
    Captured(OrderId),
    /// Money has gone back.
    Refunded(Refunded),
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// As the record has it.
    pub outcome: &'static str,
    pub effects: Vec<Effect>,
}

/// Keeps the delivery and applies it; a repeat changes nothing.
pub fn receive(tx: &mut Tx<'_>, app: &App, delivery: &Delivery) -> Result<Receipt> {
    let key = delivery.key();
    if store::event_is_known(tx, &key)? {
        return Ok(Receipt {
            outcome: REPEATED,
            effects: Vec::new(),
        });
    }
    let envelope = serde_json::from_slice::<Envelope>(&delivery.body).ok();
    let mut verdict = match &envelope {
        Some(envelope) => verdict::judge(tx, app, envelope)?,
        None => Verdict::of(UNREADABLE),
    };
    let (money, refund) = match &envelope {
        Some(told) => (told.payment(), told.refund()),
        None => (None, None),
    };
    let row = store::EventRow {
        key: &key,
        event_id: delivery.event_id.as_deref(),
        event: envelope.as_ref().map(|told| told.event.0.as_str()),
        order: verdict.order,
        provider_order_id: money.and_then(|it| it.order_id.as_ref()).map(Name::as_str),
        provider_payment_id: refund
            .map(|it| it.payment_id.as_str())
            .or(money.map(|it| it.id.as_str())),
        provider_refund_id: refund.map(|it| it.id.as_str()),
        amount: refund.map(|it| it.amount).or(money.map(|it| it.amount)),
        outcome: verdict.outcome,
        signature: if delivery.is_signed { "valid" } else { "none" },
        body: &delivery.body,
    };
    // The same thing said again, under another id or by another event, is one thing to see.
    if verdict.outcome.starts_with(UNMATCHED) && store::is_seen(tx, &row)? {
        verdict.outcome = REPEATED;
    }
    // What the shop asked for is kept where it told something new.
    if delivery.is_signed || ![REPEATED, IGNORED].contains(&verdict.outcome) {
        let outcome = verdict.outcome;
        store::insert_event(tx, &store::EventRow { outcome, ..row })?;
    }
    let mut effects = verdict.effects;
    if let Some(envelope) = &envelope {
        effects.extend(after_capture(
            tx,
            app,
            envelope,
            verdict.outcome,
            verdict.order,
        )?);
    }
    Ok(Receipt {
        outcome: verdict.outcome,
        effects,
    })
}

/// Applies what was told of an order before the shop knew that it is one of its own.
pub(super) fn known_now(
    tx: &mut Tx<'_>,
    app: &App,
    provider_order_id: &str,
) -> Result<Vec<Effect>> {
    let kept = store::events_of_order(tx, provider_order_id, NO_ORDER)?;
    judge_again(tx, app, kept)
}

/// Once money is on record: what was recorded earlier about the same payment is settled, and refunds of it
/// that arrived first are applied.
fn after_capture(
    tx: &mut Tx<'_>,
    app: &App,
    told: &Envelope,
    outcome: &str,
    order: Option<OrderId>,
) -> Result<Vec<Effect>> {
    let Some(money) = told.payment().filter(|_| told.is_capture()) else {
        return Ok(Vec::new());
    };
    if [verdict::CAPTURED, verdict::DUPLICATE].contains(&outcome) {
        let note = "the payment matched its order later";
        store::settle_captures(tx, money.id.as_str(), order, note)?;
    }
    let kept = store::events_of_payment(tx, money.id.as_str(), NO_PAYMENT)?;
    judge_again(tx, app, kept)
}

fn judge_again(
    tx: &mut Tx<'_>,
    app: &App,
    kept: Vec<(uuid::Uuid, Vec<u8>)>,
) -> Result<Vec<Effect>> {
    let mut effects = Vec::new();
    for (id, body) in kept {
        let Ok(envelope) = serde_json::from_slice::<Envelope>(&body) else {
            continue;
        };
        let verdict = verdict::judge(tx, app, &envelope)?;
        store::judge_event(tx, id, verdict.outcome, verdict.order)?;
        effects.extend(verdict.effects);
        effects.extend(after_capture(
            tx,
            app,
            &envelope,
            verdict.outcome,
            verdict.order,
        )?);
    }
    Ok(effects)
}
