//! Applies changes of payments to their orders.

use crate::{
    app::App,
    core::{error::Result, id::OrderId, money::Money},
    domain::{
        orders::{self, Actor, Status},
        payments::{self, Effect, RefundCause, Refunded},
    },
    infra::db::Tx,
};

/// Applies the effects to the orders that they are about.
pub(super) fn apply(tx: &mut Tx<'_>, app: &App, effects: &[Effect]) -> Result<()> {
    for effect in effects {
        match effect {
            Effect::None => {}
            Effect::Captured(id) => captured(tx, app, *id)?,
            Effect::Refunded(done) => refunded(tx, *done)?,
        }
    }
    Ok(())
}

/// Marks the order as paid. If it no longer waits for payment, refunds the money.
fn captured(tx: &mut Tx<'_>, app: &App, id: OrderId) -> Result<()> {
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
    let effect = payments::refund(tx, app, payment, None, RefundCause::Late, false)?;
    apply(tx, app, &[effect])
}

fn refunded(tx: &mut Tx<'_>, done: Refunded) -> Result<()> {
    let current = orders::order(tx, done.order, None)?;
    orders::notify_refunded(tx, &current, done.amount)?;
    if done.is_full {
        orders::mark_refunded(tx, &current, done.restock)?;
    }
    Ok(())
}
