//! Receives deliveries of the provider's events.

use super::apply::apply;
use crate::{
    app::App,
    core::error::Result,
    domain::payments::{self, Delivery, Outcome},
    infra::db::Tx,
};

/// Stores and processes the events of a delivery, and applies them to their orders. Returns an outcome for each.
pub fn receive(tx: &mut Tx<'_>, app: &App, delivery: &Delivery) -> Result<Vec<Outcome>> {
    let receipt = payments::receive(tx, app, delivery)?;
    apply(tx, app, &receipt.effects)?;
    Ok(receipt.outcomes)
}
