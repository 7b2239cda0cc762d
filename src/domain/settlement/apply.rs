//! Applies changes of payments to their orders.

use crate::{
    core::{error::Result, id::OrderId, money::Money},
    domain::{
        orders::{self, Actor, Status},
        payments::{self, Effect, RefundCause, Refunded},
    },
    infra::{db::Tx, ports::Gateway},
};

/// Applies the effects to the orders that they are about.
pub(super) fn apply(tx: &mut Tx<'_>, gateway: &dyn Gateway, effects: &[Effect]) -> Result<()> {
    for effect in effects {
        match effect {
            Effect::None => {}
            Effect::Captured(id) => captured(tx, gateway, *id)?,
            Effect::Refunded(done) => refunded(tx, *done)?,
        }
    }
    Ok(())
}

/// Marks the order as paid. If the order no longer awaits payment, refunds the payment.
fn captured(tx: &mut Tx<'_>, gateway: &dyn Gateway, id: OrderId) -> Result<()> {
    let current = orders::order(tx, id, None)?;
    if current
        .status
        .can_transition_to(Status::Paid, Actor::Provider)
    {
        orders::transition(tx, &current, Status::Paid, Actor::Provider)?;
        return Ok(());
    }
    let payment = &current.payment;
    if payment.refundable() == Money::ZERO {
        return Ok(());
    }
    let effect = payments::refund(tx, gateway, payment, None, RefundCause::Late, false)?;
    apply(tx, gateway, &[effect])
}

fn refunded(tx: &mut Tx<'_>, done: Refunded) -> Result<()> {
    let current = orders::order(tx, done.order, None)?;
    orders::notify_refunded(tx, &current, done.amount)?;
    if done.is_full {
        orders::mark_refunded(tx, &current, done.restock)?;
    }
    Ok(())
}
