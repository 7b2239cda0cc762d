//! What a rightly signed delivery does: it is kept, and then its effect is read off the payment's
//! own state.

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{Payment, PaymentStatus, Refund, RefundCause, RefundStatus, Refunded, refund, store};
use crate::{
    db::Tx,
    error::Result,
    id::{OrderId, RefundId},
    money::Money,
    web::App,
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
struct Name(String);

/// In bytes; Razorpay's own are about twenty.
const LONGEST_NAME: usize = 255;

impl Name {
    fn as_str(&self) -> &str {
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
struct Envelope {
    event: Name,
    payload: Payload,
}

#[derive(Debug, Deserialize)]
struct Payload {
    payment: Option<Entity<ProviderPayment>>,
    refund: Option<Entity<ProviderRefund>>,
}

#[derive(Debug, Deserialize)]
struct Entity<T> {
    entity: T,
}

/// Razorpay's payment entity; amounts are in the currency's minor unit.
#[derive(Debug, Deserialize)]
struct ProviderPayment {
    id: Name,
    amount: i64,
    currency: String,
    order_id: Option<Name>,
}

/// Razorpay's refund entity. `receipt` is what the shop called it.
#[derive(Debug, Deserialize)]
struct ProviderRefund {
    id: Name,
    amount: i64,
    payment_id: Name,
    receipt: Option<Name>,
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

/// What is to be thought of what a delivery tells.
struct Verdict {
    outcome: &'static str,
    order: Option<OrderId>,
    effects: Vec<Effect>,
}

impl Verdict {
    fn of(outcome: &'static str) -> Verdict {
        Verdict {
            outcome,
            order: None,
            effects: Vec::new(),
        }
    }

    fn about(outcome: &'static str, payment: &Payment) -> Verdict {
        Verdict {
            order: Some(payment.order),
            ..Verdict::of(outcome)
        }
    }

    fn with(self, effect: Effect) -> Verdict {
        let mut effects = self.effects;
        effects.push(effect);
        Verdict { effects, ..self }
    }
}

/// Signed by the provider, and not what the shop knows to read. A person must see it.
pub(super) const UNREADABLE: &str = "unreadable";

/// The other outcomes that a person must see all begin so.
pub(super) const UNMATCHED: &str = "unmatched: ";

/// Money for an order that is not known, which may become so.
pub(super) const NO_ORDER: &str = "unmatched: no such order";

/// A refund of money that is not known, which may become so.
pub(super) const NO_PAYMENT: &str = "unmatched: no such payment";

const REPEATED: &str = "repeated";
const IGNORED: &str = "ignored";

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
        Some(envelope) => judge(tx, app, envelope)?,
        None => Verdict::of(UNREADABLE),
    };
    let (money, refund) = match &envelope {
        Some(told) => (
            told.payload.payment.as_ref().map(|it| &it.entity),
            told.payload.refund.as_ref().map(|it| &it.entity),
        ),
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
    Ok(Receipt {
        outcome: verdict.outcome,
        effects: verdict.effects,
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
        let verdict = judge(tx, app, &envelope)?;
        store::judge_event(tx, id, verdict.outcome, verdict.order)?;
        effects.extend(verdict.effects);
    }
    Ok(effects)
}

fn judge(tx: &mut Tx<'_>, app: &App, told: &Envelope) -> Result<Verdict> {
    let money = told.payload.payment.as_ref().map(|it| &it.entity);
    let refund = told.payload.refund.as_ref().map(|it| &it.entity);
    match (told.event.as_str(), money, refund) {
        ("payment.captured" | "order.paid", Some(money), _) => captured(tx, app, money),
        ("payment.failed", Some(money), _) => failed(tx, money),
        ("refund.processed", _, Some(refund)) => refunded(tx, refund),
        ("refund.failed", _, Some(refund)) => refund_failed(tx, refund),
        _ => Ok(Verdict::of(IGNORED)),
    }
}

fn captured(tx: &mut Tx<'_>, app: &App, money: &ProviderPayment) -> Result<Verdict> {
    let Some(payment) = payment_of(tx, money)? else {
        return Ok(Verdict::of(NO_ORDER));
    };
    if payment.transaction_id.as_deref() == Some(money.id.as_str()) {
        return Ok(Verdict::about(REPEATED, &payment));
    }
    if money.amount != payment.amount.get() {
        return Ok(Verdict::about("unmatched: another amount", &payment));
    }
    if money.currency != app.config.currency.code() {
        return Ok(Verdict::about("unmatched: another currency", &payment));
    }
    if store::transaction_is_known(tx, money.id.as_str())? {
        let outcome = "unmatched: the payment belongs to another order";
        return Ok(Verdict::about(outcome, &payment));
    }
    if !payment.status.may_become(PaymentStatus::Captured) {
        let outcome = "unmatched: the order is paid already";
        return Ok(Verdict::about(outcome, &payment));
    }
    store::capture(tx, payment.order, money.id.as_str())?;
    let verdict = Verdict::about("captured", &payment).with(Effect::Captured(payment.order));
    // Its refund may have been told of before.
    let kept = store::events_of_payment(tx, money.id.as_str(), NO_PAYMENT)?;
    let later = judge_again(tx, app, kept)?;
    Ok(later.into_iter().fold(verdict, Verdict::with))
}

fn failed(tx: &mut Tx<'_>, money: &ProviderPayment) -> Result<Verdict> {
    let Some(payment) = payment_of(tx, money)? else {
        return Ok(Verdict::of(IGNORED));
    };
    if payment.status.may_become(PaymentStatus::Failed) {
        store::set_status(tx, payment.order, payment.status, PaymentStatus::Failed)?;
        return Ok(Verdict::about("failed", &payment));
    }
    Ok(Verdict::about(IGNORED, &payment))
}

fn payment_of(tx: &mut Tx<'_>, money: &ProviderPayment) -> Result<Option<Payment>> {
    match &money.order_id {
        Some(order) => store::by_provider_order(tx, order.as_str()),
        None => Ok(None),
    }
}

fn refunded(tx: &mut Tx<'_>, told: &ProviderRefund) -> Result<Verdict> {
    let Some((payment, known)) = refund_of(tx, told)? else {
        return Ok(Verdict::of(NO_PAYMENT));
    };
    let rest = match &known {
        Some(it) if it.amount.get() != told.amount => {
            return Ok(Verdict::about("unmatched: another amount", &payment));
        }
        Some(it) if it.status == RefundStatus::Processed => {
            return Ok(Verdict::about(REPEATED, &payment));
        }
        // What is on its way was counted already.
        Some(it) if it.status == RefundStatus::Pending => it.amount,
        _ => payment.rest(),
    };
    let amount = Money::try_from(told.amount).ok().filter(|it| *it <= rest);
    let Some(amount) = amount.filter(|it| *it > Money::ZERO) else {
        let outcome = "unmatched: more went back than was captured";
        return Ok(Verdict::about(outcome, &payment));
    };
    let refund = if let Some(refund) = known {
        refund
    } else {
        let refund = Refund {
            id: tx.id(),
            amount,
            status: RefundStatus::Pending,
            restock: false,
        };
        store::insert_refund(tx, payment.order, &refund, RefundCause::Provider)?;
        refund
    };
    let done = refund::process(tx, &payment, &refund, told.id.as_str())?;
    Ok(Verdict::about("refunded", &payment).with(Effect::Refunded(done)))
}

fn refund_failed(tx: &mut Tx<'_>, told: &ProviderRefund) -> Result<Verdict> {
    match refund_of(tx, told)? {
        Some((payment, Some(refund))) if refund.status == RefundStatus::Pending => {
            store::fail_refund(tx, refund.id, "the provider says that it failed")?;
            Ok(Verdict::about("refund failed", &payment))
        }
        Some((payment, _)) => Ok(Verdict::about(IGNORED, &payment)),
        None => Ok(Verdict::of(NO_PAYMENT)),
    }
}

/// The payment that a refund is of, held, and which of its refunds it is: by the provider's id, else by
/// what the shop called it, else one that waits for its id and is of that sum.
fn refund_of(tx: &mut Tx<'_>, told: &ProviderRefund) -> Result<Option<(Payment, Option<Refund>)>> {
    let own = told
        .receipt
        .as_ref()
        .and_then(|it| it.as_str().parse::<RefundId>().ok());
    let known = store::refund_by_name(tx, told.id.as_str(), own)?;
    let order = match known {
        Some((_, order)) => Some(order),
        None => store::order_of_transaction(tx, told.payment_id.as_str())?,
    };
    let Some(payment) = order
        .map(|order| store::hold(tx, order))
        .transpose()?
        .flatten()
    else {
        return Ok(None);
    };
    let id = match known {
        Some((id, _)) => Some(id),
        None => store::nameless_refund(tx, payment.order, told.amount)?,
    };
    let refund = payment.refunds.iter().find(|it| Some(it.id) == id).cloned();
    Ok(Some((payment, refund)))
}
