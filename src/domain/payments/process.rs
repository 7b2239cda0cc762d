//! Applies an event of the provider to payments and refunds, based on their current state: repeated
//! deliveries and the order of arrival do not matter.

use super::{
    Effect, Mismatch, Outcome, Payment, PaymentStatus, Refund, RefundCause, RefundStatus,
    SEND_REFUND, find, issue_refund, store,
};
use crate::{
    core::{
        error::Result,
        id::{OrderId, RefundId},
        money::Money,
    },
    infra::{
        db::Tx,
        jobs,
        ports::gateway::{EventKind, Gateway, GatewayEvent, ReportedPayment, ReportedRefund},
    },
};

/// The result of an event.
pub(super) struct Processed {
    pub(super) outcome: Outcome,
    pub(super) order: Option<OrderId>,
    pub(super) effects: Vec<Effect>,
}

impl Processed {
    fn new(outcome: Outcome) -> Processed {
        Processed {
            outcome,
            order: None,
            effects: Vec::new(),
        }
    }

    fn about(payment: &Payment, outcome: Outcome) -> Processed {
        Processed {
            order: Some(payment.order),
            ..Processed::new(outcome)
        }
    }

    fn unmatched(payment: &Payment, mismatch: Mismatch) -> Processed {
        Processed::about(payment, Outcome::Unmatched(mismatch))
    }

    fn with(self, effect: Effect) -> Processed {
        let mut effects = self.effects;
        effects.push(effect);
        Processed { effects, ..self }
    }
}

/// Applies the event to the payment that it is about.
pub(super) fn process(
    tx: &mut Tx<'_>,
    gateway: &dyn Gateway,
    event: &GatewayEvent,
) -> Result<Processed> {
    match (event.kind, &event.payment, &event.refund) {
        (EventKind::PaymentCaptured, Some(payment), _) => captured(tx, gateway, payment),
        (EventKind::PaymentFailed, Some(payment), _) => failed(tx, payment),
        (EventKind::RefundProcessed, _, Some(refund)) => refunded(tx, refund),
        (EventKind::RefundFailed, _, Some(refund)) => refund_failed(tx, refund),
        (EventKind::Unreadable, ..) => Ok(Processed::new(Outcome::Unreadable)),
        _ => Ok(Processed::new(Outcome::Ignored)),
    }
}

fn captured(
    tx: &mut Tx<'_>,
    gateway: &dyn Gateway,
    reported: &ReportedPayment,
) -> Result<Processed> {
    let id = reported.id.as_str();
    let Some(payment) = payment_of(tx, reported)? else {
        let is_known = store::transaction_is_known(tx, id)? || store::is_duplicate(tx, id)?;
        return Ok(Processed::new(if is_known {
            Outcome::Repeated
        } else {
            Outcome::Unmatched(Mismatch::UnknownOrder)
        }));
    };
    if payment.transaction_id.as_deref() == Some(id) || store::is_duplicate(tx, id)? {
        return Ok(Processed::about(&payment, Outcome::Repeated));
    }
    if reported.amount != payment.amount.get() {
        return Ok(Processed::unmatched(&payment, Mismatch::Amount));
    }
    if reported.currency != tx.settings().currency.code() {
        return Ok(Processed::unmatched(&payment, Mismatch::Currency));
    }
    if store::transaction_is_known(tx, id)? {
        return Ok(Processed::unmatched(&payment, Mismatch::OtherOrder));
    }
    if !payment.status.can_transition_to(PaymentStatus::Captured) {
        // Paid twice: refund the duplicate; the order's own payment stays as it is.
        let duplicate = payment.duplicate(id, Vec::new());
        let effect = issue_refund::refund(tx, gateway, &duplicate, None, RefundCause::Late, false)?;
        return Ok(Processed::about(&payment, Outcome::Duplicate).with(effect));
    }
    store::capture(tx, payment.order, id)?;
    let effect = Effect::Captured(payment.order);
    Ok(Processed::about(&payment, Outcome::Captured).with(effect))
}

fn failed(tx: &mut Tx<'_>, reported: &ReportedPayment) -> Result<Processed> {
    let Some(payment) = payment_of(tx, reported)? else {
        return Ok(Processed::new(Outcome::Ignored));
    };
    if payment.status.can_transition_to(PaymentStatus::Failed) {
        store::set_status(tx, payment.order, payment.status, PaymentStatus::Failed)?;
        return Ok(Processed::about(&payment, Outcome::Failed));
    }
    Ok(Processed::about(&payment, Outcome::Ignored))
}

fn payment_of(tx: &mut Tx<'_>, reported: &ReportedPayment) -> Result<Option<Payment>> {
    match &reported.order_id {
        Some(order) => store::lock_by_provider_order(tx, order),
        None => Ok(None),
    }
}

fn refunded(tx: &mut Tx<'_>, reported: &ReportedRefund) -> Result<Processed> {
    let Some((payment, known)) = refund_of(tx, reported)? else {
        return refunded_at_provider(tx, reported);
    };
    let max = match &known {
        Some(refund) if refund.amount.get() != reported.amount => {
            return Ok(Processed::unmatched(&payment, Mismatch::Amount));
        }
        Some(refund) if refund.status == RefundStatus::Processed => {
            return Ok(Processed::about(&payment, Outcome::Repeated));
        }
        // A pending refund is already part of the refunded amount.
        Some(refund) if refund.status == RefundStatus::Pending => refund.amount,
        _ => payment.refundable(),
    };
    let amount = Money::try_from(reported.amount)
        .ok()
        .filter(|amount| *amount > Money::ZERO && *amount <= max);
    let Some(amount) = amount else {
        return Ok(Processed::unmatched(&payment, Mismatch::ExceedsCaptured));
    };
    let refund = if let Some(refund) = known {
        refund
    } else {
        let refund = Refund {
            id: tx.id(),
            amount,
            status: RefundStatus::Pending,
            restock: false,
            failure_reason: None,
        };
        store::insert_refund(tx, &payment, &refund, RefundCause::Provider)?;
        refund
    };
    let done = issue_refund::complete(tx, &payment, &refund, &reported.id)?;
    Ok(Processed::about(&payment, Outcome::Refunded).with(Effect::Refunded(done)))
}

/// An unmatched payment was refunded in the provider's dashboard. A full refund resolves it.
fn refunded_at_provider(tx: &mut Tx<'_>, reported: &ReportedRefund) -> Result<Processed> {
    let payment = reported.payment_id.as_str();
    let Some(captured) = store::unmatched_capture(tx, payment)? else {
        let outcome = Outcome::Unmatched(Mismatch::UnknownPayment);
        return Ok(Processed::new(outcome));
    };
    let refunds = store::refunds_at_provider(tx, payment)?;
    if refunds.iter().any(|(id, _)| *id == reported.id) {
        return Ok(Processed::new(Outcome::Repeated));
    }
    let before: i128 = refunds.iter().map(|(_, amount)| i128::from(*amount)).sum();
    if before + i128::from(reported.amount) >= i128::from(captured) {
        store::resolve_captures(tx, payment, None, "it was refunded at the provider")?;
    }
    Ok(Processed::new(Outcome::RefundedAtProvider))
}

fn refund_failed(tx: &mut Tx<'_>, reported: &ReportedRefund) -> Result<Processed> {
    match refund_of(tx, reported)? {
        Some((payment, Some(refund))) if refund.status == RefundStatus::Pending => {
            issue_refund::fail(tx, &payment, refund.id, issue_refund::NO_REASON_GIVEN)?;
            Ok(Processed::about(&payment, Outcome::RefundFailed))
        }
        Some((payment, _)) => Ok(Processed::about(&payment, Outcome::Ignored)),
        None if store::unmatched_capture(tx, &reported.payment_id)?.is_some() => {
            Ok(Processed::new(Outcome::Ignored))
        }
        None => {
            let outcome = Outcome::Unmatched(Mismatch::UnknownPayment);
            Ok(Processed::new(outcome))
        }
    }
}

/// Locks the refunded payment, and finds the refund among its refunds: by the provider's id, else by the shop's
/// id, else the oldest one of the same amount that has no provider id yet.
fn refund_of(
    tx: &mut Tx<'_>,
    reported: &ReportedRefund,
) -> Result<Option<(Payment, Option<Refund>)>> {
    let own = reported
        .reference
        .as_ref()
        .and_then(|reference| reference.parse::<RefundId>().ok());
    let known = store::refund_by_id(tx, &reported.id, own)?;
    let found = match &known {
        Some(known) => Some((known.order, known.transaction.clone())),
        None => store::order_of_transaction(tx, &reported.payment_id)?,
    };
    let Some((order, duplicate)) = found else {
        return Ok(None);
    };
    let Some(payment) = find::lock_own_or_duplicate(tx, order, duplicate.as_deref())? else {
        return Ok(None);
    };
    let id = match known {
        Some(known) => Some(known.refund),
        None => refund_without_provider_id(tx, &payment, reported.amount)?,
    };
    let refund = payment
        .refunds
        .iter()
        .find(|refund| Some(refund.id) == id)
        .cloned();
    Ok(Some((payment, refund)))
}

/// Returns the oldest pending refund of that amount without a provider id. It must have been sent before, unless
/// the shop itself requested it: then a refund in the provider's dashboard replaces it.
fn refund_without_provider_id(
    tx: &mut Tx<'_>,
    payment: &Payment,
    amount: i64,
) -> Result<Option<RefundId>> {
    for (id, cause) in store::refunds_without_provider_id(tx, payment, amount)? {
        let job = jobs::find(tx, SEND_REFUND, id.0)?;
        if cause == RefundCause::Late || job.is_some_and(|job| job.attempts > 0) {
            return Ok(Some(id));
        }
    }
    Ok(None)
}
