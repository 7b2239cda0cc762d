//! Simulates payments at the mock provider.

use crate::{
    core::{
        audit::{Action, Changes},
        error::{Error, Result},
    },
    domain::orders::Order,
    infra::{
        db::Tx,
        ports::gateway::{CheckoutResult, SimulatedCheckout},
    },
};

/// Records a payment for an order at the mock provider, and returns it with its webhooks.
///
/// Errors: `Unavailable` if the provider has no order yet.
pub fn simulate_payment(
    tx: &mut Tx<'_>,
    order: &Order,
    checkout: SimulatedCheckout,
) -> Result<CheckoutResult> {
    let order_id = order.payment.provider_order_id.as_deref().ok_or_else(|| {
        Error::unavailable("the provider has not created its order yet; try again")
    })?;
    tx.audit(Action::OrderSimulatePayment, Some(&order.id), || {
        Changes::none().with("fail", checkout.fails)
    })?;
    checkout.play(tx, order_id, order.payment.amount, order.currency)
}
