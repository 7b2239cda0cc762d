//! Receives deliveries of the provider's events.

use super::apply::apply;
use crate::{
    core::error::Result,
    domain::payments::{self, Delivery, Outcome},
    infra::{db::Tx, ports::Gateway},
};

/// Stores and processes the events of a delivery, and applies them to their orders. Returns an outcome for each.
pub fn receive(
    tx: &mut Tx<'_>,
    gateway: &dyn Gateway,
    delivery: &Delivery,
) -> Result<Vec<Outcome>> {
    let result = payments::receive(tx, gateway, delivery)?;
    apply(tx, gateway, &result.effects)?;
    Ok(result.outcomes)
}
