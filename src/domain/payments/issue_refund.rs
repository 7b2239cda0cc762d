//! Refunds payments. A refund is stored first and sent to the provider after the transaction, retried under one
//! idempotency key.

use super::{
    Effect, Payment, PaymentStatus, Refund, RefundCause, RefundStatus, Refunded, SEND_REFUND, open,
    problems::REFUND_EXCEEDS_CAPTURED, store,
};
use crate::{
    core::{
        error::Result,
        id::{RefundId, UserId},
        money::{Amount, Money},
    },
    infra::{
        db::Tx,
        jobs::{self, NewJob},
        ports::Gateway,
    },
};

/// The reason of a failed refund if the provider gives none.
pub(super) const NO_REASON_GIVEN: &str = "the provider reports that it failed";

/// Refunds `amount`, or all that can still be refunded. `payment` must be locked.
///
/// Errors: `refund-exceeds-captured`, `amount-too-small`.
pub fn refund(
    tx: &mut Tx<'_>,
    gateway: &dyn Gateway,
    payment: &Payment,
    amount: Option<Amount>,
    cause: RefundCause,
    restock: bool,
) -> Result<Effect> {
    let refundable = payment.refundable();
    let amount = amount.map_or(refundable, Money::from);
    if amount == Money::ZERO || amount > refundable {
        let (refundable, amount) = (refundable.get(), amount.get());
        let detail = match refundable {
            0 => "nothing is left to refund".to_owned(),
            _ => format!("{refundable} can be refunded, not {amount}"),
        };
        return Err(REFUND_EXCEEDS_CAPTURED.error(detail));
    }
    let is_own_provider = payment.provider == gateway.name();
    // A late payment is refunded regardless of its amount, and another provider has its own limits.
    if cause == RefundCause::Admin && is_own_provider {
        open::check_amount(gateway.min_amount(), amount)?;
    }
    let refund = Refund {
        id: tx.id(),
        amount,
        status: RefundStatus::Pending,
        restock,
        failure_reason: None,
    };
    store::insert_refund(tx, payment, &refund, cause)?;
    if let Some(duplicate) = payment.duplicate_id() {
        store::set_duplicate_refunded(tx, duplicate)?;
    }
    // A refund of another provider's payment waits until that provider is configured again, for at most a day.
    let provider_id = is_own_provider
        .then(|| gateway.offline_refund_id(tx.rng()))
        .flatten();
    if let Some(id) = provider_id {
        return complete(tx, payment, &refund, &id).map(Effect::Refunded);
    }
    enqueue(tx, payment, refund.id)?;
    Ok(Effect::None)
}

/// Queues a refund to be sent, unless it is queued already.
pub(super) fn enqueue(tx: &mut Tx<'_>, payment: &Payment, refund: RefundId) -> Result<()> {
    let job = job(tx, payment, refund);
    tx.enqueue(&job)
}

/// Returns the job that sends a refund.
fn job<'a>(tx: &Tx<'_>, payment: &'a Payment, refund: RefundId) -> NewJob<'a> {
    NewJob {
        kind: SEND_REFUND,
        subject: refund.0,
        payload: &payment.provider,
        due_at: tx.now(),
    }
}

/// Records that a refund was processed. `payment` must be locked.
pub(super) fn complete(
    tx: &mut Tx<'_>,
    payment: &Payment,
    refund: &Refund,
    provider_id: &str,
) -> Result<Refunded> {
    store::set_refund_processed(tx, refund.id, provider_id)?;
    jobs::complete(tx, SEND_REFUND, refund.id.0)?;
    let others: Vec<_> = payment
        .refunds
        .iter()
        .filter(|other| other.id != refund.id && other.status == RefundStatus::Processed)
        .collect();
    let sum = others
        .iter()
        .try_fold(refund.amount, |sum, other| sum.plus(other.amount))?;
    let is_all = sum == payment.amount;
    for (failed, amount) in store::failed_refunds(tx, payment)? {
        // A full refund resolves every failed one; a partial one resolves one of the same amount.
        if is_all {
            resolve(tx, failed, None, "the payment was refunded in full")?;
        } else if amount == refund.amount {
            resolve(tx, failed, None, "the same amount was refunded later")?;
            break;
        }
    }
    if let Some(duplicate) = payment.duplicate_id() {
        if is_all {
            store::set_duplicate_refunded(tx, duplicate)?;
        }
        return Ok(Refunded {
            order: payment.order,
            amount: refund.amount,
            is_full: false,
            restock: false,
        });
    }
    let is_full = is_all && payment.status.can_transition_to(PaymentStatus::Refunded);
    if is_full {
        store::set_status(
            tx,
            payment.order,
            PaymentStatus::Captured,
            PaymentStatus::Refunded,
        )?;
    }
    Ok(Refunded {
        order: payment.order,
        amount: refund.amount,
        is_full,
        restock: is_full && (refund.restock || others.iter().any(|other| other.restock)),
    })
}

/// Records that a refund failed, which needs an admin. `payment` must be locked.
pub(super) fn fail(tx: &mut Tx<'_>, payment: &Payment, id: RefundId, reason: &str) -> Result<()> {
    store::set_refund_failed(tx, id, reason)?;
    let job = job(tx, payment, id);
    jobs::record_dead(tx, &job, reason)?;
    match payment.duplicate_id() {
        Some(duplicate) => store::set_duplicate_unmatched(tx, duplicate),
        None => Ok(()),
    }
}

/// Resolves a failed refund, and takes it off the list of dead jobs. `by` is `None` on the command line.
pub(super) fn resolve(tx: &mut Tx<'_>, id: RefundId, by: Option<UserId>, note: &str) -> Result<()> {
    store::resolve_refund(tx, id, by, note)?;
    jobs::complete(tx, SEND_REFUND, id.0)
}
