//! Opens the payment of a new order.

use super::{Payment, PaymentStatus, store};
use crate::{
    app::App,
    core::{
        error::{Error, Result},
        id::OrderId,
        money::Money,
    },
    infra::db::Tx,
};

/// Returns the payment of a new order, not written yet. A provider that needs the network creates its order
/// later: checkout never waits for it.
pub fn draft(tx: &Tx<'_>, app: &App, order: OrderId) -> Payment {
    Payment {
        id: tx.id(),
        provider: app.gateway.name().to_owned(),
        provider_order_id: app.gateway.offline_order_id(tx.now(), tx.rng()),
        status: PaymentStatus::Created,
        amount: Money::ZERO,
        refunded_amount: Money::ZERO,
        transaction_id: None,
        refunds: Vec::new(),
        order,
        is_duplicate: false,
    }
}

/// Checks that the provider accepts the amount.
///
/// Errors: `amount-too-small`.
pub fn check_amount(app: &App, amount: Money) -> Result<()> {
    let min = app.gateway.min_amount();
    if amount >= min {
        return Ok(());
    }
    let detail = format!("the payment provider takes {} and more", min.get());
    Err(Error::conflict("amount-too-small", detail))
}

/// Inserts the payment of a new order.
pub fn open(tx: &mut Tx<'_>, payment: &Payment) -> Result<()> {
    store::insert(tx, payment)
}
