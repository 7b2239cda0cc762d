//! What becomes of an order when money comes or goes back. The provider's word moves the payment; the
//! order follows in the same transaction.

use uuid::Uuid;

use super::{Actor, Order, OrderEmail, Status, order, store, transition};
use crate::{
    app::App,
    core::{
        error::Result,
        id::OrderId,
        money::{Amount, Money},
    },
    domain::{
        catalog::{self, Cause},
        payments::{self, Delivery, Effect, RefundCause, Refunded},
    },
    infra::db::Tx,
};

/// Applies what the payment provider tells; says what it came to.
pub fn receive_payment(tx: &mut Tx<'_>, app: &App, delivery: &Delivery) -> Result<&'static str> {
    let receipt = payments::receive(tx, app, delivery)?;
    follow(tx, app, &receipt.effects)?;
    Ok(receipt.outcome)
}

/// Gives money back, all that is left if no sum is named; with `restock` the stock goes back, too, once
/// nothing is left.
pub fn refund(
    tx: &mut Tx<'_>,
    app: &App,
    id: OrderId,
    amount: Option<Amount>,
    restock: bool,
) -> Result<Order> {
    let payment = payments::hold(tx, id)?;
    let effect = payments::refund(tx, app, &payment, amount, RefundCause::Admin, restock)?;
    follow(tx, app, &[effect])?;
    order(tx, app, id, None)
}

/// Has a job of the queue towards the payment provider attempted now; returns whether there is one.
pub fn retry_payment_job(tx: &mut Tx<'_>, app: &App, id: Uuid) -> Result<bool> {
    let Some(effect) = payments::retry_job(tx, app, id)? else {
        return Ok(false);
    };
    follow(tx, app, &[effect])?;
    Ok(true)
}

/// Lets orders follow what happened to their payments.
pub(super) fn follow(tx: &mut Tx<'_>, app: &App, effects: &[Effect]) -> Result<()> {
    for effect in effects {
        match effect {
            Effect::None => {}
            Effect::Captured(id) => captured(tx, app, *id)?,
            Effect::Refunded(refunded) => gone_back(tx, app, *refunded)?,
        }
    }
    Ok(())
}

/// Money for an order that is not waiting for it any more goes back.
fn captured(tx: &mut Tx<'_>, app: &App, id: OrderId) -> Result<()> {
    let current = order(tx, app, id, None)?;
    if current
        .status
        .can_transition_to(Status::Paid, Actor::Provider)
    {
        transition(tx, app, &current, Status::Paid, Actor::Provider)?;
        return Ok(());
    }
    let payment = &current.payment;
    if payment.rest() == Money::ZERO {
        return Ok(());
    }
    let effect = payments::refund(tx, app, payment, None, RefundCause::Late, false)?;
    follow(tx, app, &[effect])
}

fn gone_back(tx: &mut Tx<'_>, app: &App, refunded: Refunded) -> Result<()> {
    let current = order(tx, app, refunded.order, None)?;
    OrderEmail::Refunded.write(tx, &current, Some(refunded.amount))?;
    // A cancelled order stays so, and its stock went back when it was cancelled.
    if !refunded.completes
        || !current
            .status
            .can_transition_to(Status::Refunded, Actor::Provider)
    {
        return Ok(());
    }
    store::set_status(tx, current.id, current.status, Status::Refunded)?;
    if refunded.restocks {
        catalog::put_back(tx, current.id, &current.lines(), Cause::Refund)?;
    }
    Ok(())
}
