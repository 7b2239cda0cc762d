//! What the provider reports, applied to payments and refunds: read off their own state, so that repeats and
//! the order of arrival do not matter.

use super::{
    Effect, Payment, PaymentStatus, Refund, RefundCause, RefundStatus,
    event::{Envelope, ProviderPayment, ProviderRefund},
    refund, store,
};
use crate::{
    app::App,
    core::{
        error::Result,
        id::{OrderId, RefundId},
        money::Money,
    },
    infra::db::Tx,
};

/// The outcome of a delivery.
pub(super) struct Verdict {
    pub(super) outcome: &'static str,
    pub(super) order: Option<OrderId>,
    pub(super) effects: Vec<Effect>,
}

impl Verdict {
    pub(super) fn of(outcome: &'static str) -> Verdict {
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

/// The order's money has arrived.
pub(super) const CAPTURED: &str = "captured";

/// Money for an order that was paid before: it goes back, or has gone.
pub(super) const DUPLICATE: &str = "duplicate";

/// The same, where no refund is on its way: it failed, or the shop did not refund such money yet when it
/// arrived.
pub(super) const STUCK: &str = "unmatched: the order is paid already";

/// A refund of unmatched money, made at the provider.
const REFUNDED_ELSEWHERE: &str = "refunded at the provider";

pub(super) const REPEATED: &str = "repeated";
pub(super) const IGNORED: &str = "ignored";

/// Applies what an event reports to the payment that it is about.
pub(super) fn judge(tx: &mut Tx<'_>, app: &App, told: &Envelope) -> Result<Verdict> {
    match (told.event.as_str(), told.payment(), told.refund()) {
        (_, Some(money), _) if told.is_capture() => captured(tx, app, money),
        ("payment.failed", Some(money), _) => failed(tx, money),
        ("refund.processed", _, Some(refund)) => refunded(tx, refund),
        ("refund.failed", _, Some(refund)) => refund_failed(tx, refund),
        _ => Ok(Verdict::of(IGNORED)),
    }
}

fn captured(tx: &mut Tx<'_>, app: &App, money: &ProviderPayment) -> Result<Verdict> {
    let id = money.id.as_str();
    let Some(payment) = payment_of(tx, money)? else {
        let is_known = store::transaction_is_known(tx, id)? || store::is_duplicate(tx, id)?;
        return Ok(Verdict::of(if is_known { REPEATED } else { NO_ORDER }));
    };
    if payment.transaction_id.as_deref() == Some(id) || store::is_duplicate(tx, id)? {
        return Ok(Verdict::about(REPEATED, &payment));
    }
    if money.amount != payment.amount.get() {
        return Ok(Verdict::about("unmatched: another amount", &payment));
    }
    if money.currency != app.config.currency.code() {
        return Ok(Verdict::about("unmatched: another currency", &payment));
    }
    if store::transaction_is_known(tx, id)? {
        let outcome = "unmatched: the payment belongs to another order";
        return Ok(Verdict::about(outcome, &payment));
    }
    if !payment.status.can_transition_to(PaymentStatus::Captured) {
        // Paid twice: this money goes back, and the order's own payment stays as it is.
        let second = payment.duplicate(id, Vec::new());
        let effect = refund::refund(tx, app, &second, None, RefundCause::Late, false)?;
        return Ok(Verdict::about(DUPLICATE, &payment).with(effect));
    }
    store::capture(tx, payment.order, id)?;
    Ok(Verdict::about(CAPTURED, &payment).with(Effect::Captured(payment.order)))
}

fn failed(tx: &mut Tx<'_>, money: &ProviderPayment) -> Result<Verdict> {
    let Some(payment) = payment_of(tx, money)? else {
        return Ok(Verdict::of(IGNORED));
    };
    if payment.status.can_transition_to(PaymentStatus::Failed) {
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
        return refunded_elsewhere(tx, told);
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
        store::insert_refund(tx, &payment, &refund, RefundCause::Provider)?;
        refund
    };
    let done = refund::process(tx, &payment, &refund, told.id.as_str())?;
    Ok(Verdict::about("refunded", &payment).with(Effect::Refunded(done)))
}

/// Somebody refunded unmatched money at the provider. Once all of it has gone back, nobody has to see it.
fn refunded_elsewhere(tx: &mut Tx<'_>, told: &ProviderRefund) -> Result<Verdict> {
    let payment = told.payment_id.as_str();
    let Some(captured) = store::unmatched_capture(tx, payment)? else {
        return Ok(Verdict::of(NO_PAYMENT));
    };
    let back = store::refunds_elsewhere(tx, payment, REFUNDED_ELSEWHERE)?;
    if back.iter().any(|(id, _)| *id == told.id.as_str()) {
        return Ok(Verdict::of(REPEATED));
    }
    let before: i128 = back.iter().map(|(_, amount)| i128::from(*amount)).sum();
    if before + i128::from(told.amount) >= i128::from(captured) {
        store::settle_captures(tx, payment, None, "it was refunded at the provider")?;
    }
    Ok(Verdict::of(REFUNDED_ELSEWHERE))
}

fn refund_failed(tx: &mut Tx<'_>, told: &ProviderRefund) -> Result<Verdict> {
    match refund_of(tx, told)? {
        Some((payment, Some(refund))) if refund.status == RefundStatus::Pending => {
            refund::fail(tx, &payment, refund.id, "the provider says that it failed")?;
            Ok(Verdict::about("refund failed", &payment))
        }
        Some((payment, _)) => Ok(Verdict::about(IGNORED, &payment)),
        None if store::unmatched_capture(tx, told.payment_id.as_str())?.is_some() => {
            Ok(Verdict::of(IGNORED))
        }
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
    let account = match &known {
        Some(known) => Some((known.order, known.transaction.clone())),
        None => store::order_of_transaction(tx, told.payment_id.as_str())?,
    };
    let Some((order, duplicate)) = account else {
        return Ok(None);
    };
    let Some(payment) = super::hold_account(tx, order, duplicate.as_deref())? else {
        return Ok(None);
    };
    let id = match known {
        Some(known) => Some(known.refund),
        None => store::nameless_refund(tx, &payment, told.amount)?,
    };
    let refund = payment.refunds.iter().find(|it| Some(it.id) == id).cloned();
    Ok(Some((payment, refund)))
}
