//! Refunds orders.

use super::apply::apply;
use crate::{
    core::{
        audit::{Action, Changes},
        error::Result,
        id::OrderId,
        money::{Amount, Money},
    },
    domain::{
        orders::{self, Order},
        payments::{self, RefundCause},
    },
    infra::{db::Tx, ports::Gateway},
};

/// Refunds `amount` of an order, or all that can still be refunded. With `restock`, the stock is returned once
/// the order is refunded in full.
///
/// Errors: `not-found`, `refund-exceeds-captured`, `amount-too-small`.
pub fn refund(
    tx: &mut Tx<'_>,
    gateway: &dyn Gateway,
    id: OrderId,
    amount: Option<Amount>,
    restock: bool,
) -> Result<Order> {
    let payment = payments::lock_payment(tx, id)?;
    let effect = payments::refund(tx, gateway, &payment, amount, RefundCause::Admin, restock)?;
    apply(tx, gateway, &[effect])?;
    tx.audit(Action::OrderRefund, Some(&id), || {
        let amount = amount.map_or(payment.refundable(), Money::from);
        Changes::none()
            .with("amount", amount)
            .with("restock", restock)
    })?;
    orders::order(tx, id, None)
}
