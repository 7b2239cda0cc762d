//! Moves an order to its next status.

use super::{
    Actor, Order, Status, find::order, notifications::OrderEmail, problems::ILLEGAL_TRANSITION,
    store,
};
use crate::{
    core::{
        audit::{Action, Changes},
        error::Result,
    },
    domain::catalog::{self, Cause},
    infra::db::Tx,
};

/// Moves an order to `next` and emails its customer. Cancelling returns the stock.
///
/// Errors: `illegal-transition`.
pub fn transition(tx: &mut Tx<'_>, current: &Order, next: Status, actor: Actor) -> Result<Order> {
    if !current.status.can_transition_to(next, actor) {
        let (from, to) = (current.status.as_str(), next.as_str());
        let detail = format!("this request cannot change an order from {from} to {to}");
        return Err(ILLEGAL_TRANSITION.error(detail));
    }
    store::set_status(tx, current.id, current.status, next)?;
    if next == Status::Cancelled {
        let cause = match actor {
            Actor::Expiry => Cause::Expiry,
            _ => Cause::Cancel,
        };
        catalog::restock(tx, current.id, &current.units(), cause)?;
    }
    if let Some(email) = OrderEmail::for_status(next) {
        email.enqueue(tx, current, None)?;
    }
    tx.audit(Action::OrderStatus, Some(&current.id), || {
        Changes::none().field("status", current.status, next)
    })?;
    order(tx, current.id, None)
}

/// Moves an order to REFUNDED once all of its money has been refunded; with `restock`, returns its stock.
/// Does nothing if the order cannot become REFUNDED: a cancelled order stays cancelled, and its stock was
/// returned when it was cancelled.
pub fn mark_refunded(tx: &mut Tx<'_>, current: &Order, restock: bool) -> Result<()> {
    if !current
        .status
        .can_transition_to(Status::Refunded, Actor::Provider)
    {
        return Ok(());
    }
    store::set_status(tx, current.id, current.status, Status::Refunded)?;
    if restock {
        catalog::restock(tx, current.id, &current.units(), Cause::Refund)?;
    }
    Ok(())
}
