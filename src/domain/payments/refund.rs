//! Money on its way back. What is asked for is a row first; the provider is told after the transaction,
//! as often as it takes, and under one key, so that it happens once.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Effect, Payment, PaymentStatus, store};
use crate::{
    app::App,
    core::{
        error::{Error, Result},
        id::{OrderId, RefundId},
        money::{Amount, Money},
    },
    infra::db::Tx,
};

/// Where a refund stands: `PENDING → PROCESSED|FAILED`. One that failed may turn out to have happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum RefundStatus {
    Pending,
    Processed,
    Failed,
}

impl RefundStatus {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            RefundStatus::Pending => "PENDING",
            RefundStatus::Processed => "PROCESSED",
            RefundStatus::Failed => "FAILED",
        }
    }

    pub(super) fn parse(text: &str) -> Option<RefundStatus> {
        [
            RefundStatus::Pending,
            RefundStatus::Processed,
            RefundStatus::Failed,
        ]
        .into_iter()
        .find(|status| status.as_str() == text)
    }
}

/// Who asked for a refund.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundCause {
    Admin,
    /// The shop itself: the money came when its order was cancelled, or paid, already.
    Late,
    /// Somebody at the provider.
    Provider,
}

impl RefundCause {
    pub(super) fn parse(text: &str) -> Option<RefundCause> {
        [RefundCause::Admin, RefundCause::Late, RefundCause::Provider]
            .into_iter()
            .find(|cause| cause.as_str() == text)
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            RefundCause::Admin => "admin",
            RefundCause::Late => "late",
            RefundCause::Provider => "provider",
        }
    }
}

/// Money on its way back, or not.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Refund {
    pub id: RefundId,
    pub amount: Money,
    pub status: RefundStatus,
    #[serde(skip)]
    pub restock: bool,
}

/// A refund that has happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refunded {
    pub order: OrderId,
    pub amount: Money,
    /// Whether nothing of the payment is left.
    pub completes: bool,
    /// Whether the stock goes back, too.
    pub restocks: bool,
}

/// Asks for money back, all that is left if no sum is named. `payment` must be held.
pub fn refund(
    tx: &mut Tx<'_>,
    app: &App,
    payment: &Payment,
    amount: Option<Amount>,
    cause: RefundCause,
    restock: bool,
) -> Result<Effect> {
    let rest = payment.rest();
    let amount = amount.map_or(rest, Money::from);
    if amount == Money::ZERO || amount > rest {
        let (rest, amount) = (rest.get(), amount.get());
        let detail = match (rest, amount) {
            (0, _) => "nothing is left that could go back".to_owned(),
            _ => format!("{rest} could go back, not {amount}"),
        };
        return Err(Error::conflict("refund-exceeds-captured", detail));
    }
    // What comes too late goes back whatever it is; and what another provider took is that one's to give.
    if cause == RefundCause::Admin && payment.provider == app.gateway.name() {
        super::check_amount(app, amount)?;
    }
    let refund = Refund {
        id: tx.id(),
        amount,
        status: RefundStatus::Pending,
        restock,
    };
    store::insert_refund(tx, payment, &refund, cause)?;
    if let Some(duplicate) = payment.duplicate_id() {
        store::set_duplicate_refunded(tx, duplicate, true)?;
    }
    // What another provider has taken, this one cannot give back: it waits until that one is set again.
    let done = (payment.provider == app.gateway.name())
        .then(|| app.gateway.refund_id_at_once(tx.rng()))
        .flatten();
    match done {
        Some(provider_id) => process(tx, payment, &refund, &provider_id).map(Effect::Refunded),
        None => Ok(Effect::None),
    }
}

/// Writes down that a refund has happened. `payment` must be held.
pub(super) fn process(
    tx: &mut Tx<'_>,
    payment: &Payment,
    refund: &Refund,
    provider_id: &str,
) -> Result<Refunded> {
    store::process_refund(tx, refund.id, provider_id)?;
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
        // One of the same sum is made good by this one; with all of the money gone back, every one.
        if is_all {
            store::resolve_refund(tx, failed, None, "all of the payment has gone back")?;
        } else if amount == refund.amount {
            store::resolve_refund(tx, failed, None, "the same sum went back later")?;
            break;
        }
    }
    if let Some(duplicate) = payment.duplicate_id() {
        if is_all {
            store::set_duplicate_refunded(tx, duplicate, true)?;
        }
        return Ok(Refunded {
            order: payment.order,
            amount: refund.amount,
            completes: false,
            restocks: false,
        });
    }
    let completes = is_all && payment.status.can_transition_to(PaymentStatus::Refunded);
    if completes {
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
        completes,
        restocks: completes && (refund.restock || others.iter().any(|other| other.restock)),
    })
}

/// Writes down that a refund has failed; a person must see it. `payment` must be held.
pub(super) fn fail(tx: &mut Tx<'_>, payment: &Payment, id: RefundId, why: &str) -> Result<()> {
    store::fail_refund(tx, id, why)?;
    match payment.duplicate_id() {
        Some(duplicate) => store::set_duplicate_refunded(tx, duplicate, false),
        None => Ok(()),
    }
}
