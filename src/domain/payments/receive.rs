//! Receives deliveries: stores each event, processes it, and reprocesses earlier events that it makes matchable.

use uuid::Uuid;

use super::{
    Delivery, DeliveryResult, Effect, Outcome,
    process::{self, Processed},
    store,
};
use crate::{
    core::error::Result,
    infra::{
        db::Tx,
        ports::gateway::{EventKind, Gateway, GatewayEvent},
    },
};

/// Stores and processes the events of a delivery. A repeated delivery changes nothing.
pub fn receive(
    tx: &mut Tx<'_>,
    gateway: &dyn Gateway,
    delivery: &Delivery,
) -> Result<DeliveryResult> {
    let mut result = DeliveryResult::default();
    for (index, event) in delivery.events.iter().enumerate() {
        let (outcome, effects) = receive_event(tx, gateway, delivery, event, &delivery.key(index))?;
        result.outcomes.push(outcome);
        result.effects.extend(effects);
    }
    Ok(result)
}

fn receive_event(
    tx: &mut Tx<'_>,
    gateway: &dyn Gateway,
    delivery: &Delivery,
    event: &GatewayEvent,
    key: &[u8],
) -> Result<(Outcome, Vec<Effect>)> {
    if store::event_is_known(tx, key)? {
        return Ok((Outcome::Repeated, Vec::new()));
    }
    let mut processed = process::process(tx, gateway, event)?;
    // The same mismatch under another event id or name is listed once.
    if let Outcome::Unmatched(mismatch) = processed.outcome
        && store::is_listed(tx, event, mismatch)?
    {
        processed.outcome = Outcome::Repeated;
    }
    // A result of reconciliation is stored only if it is new.
    let is_new = ![Outcome::Repeated, Outcome::Ignored].contains(&processed.outcome);
    if delivery.is_signed || is_new {
        let row = store::EventRow {
            key,
            provider: delivery.provider,
            event,
            order: processed.order,
            outcome: processed.outcome,
            signature: if delivery.is_signed { "valid" } else { "none" },
            body: &delivery.body,
        };
        store::insert_event(tx, &row)?;
    }
    let outcome = processed.outcome;
    Ok((outcome, with_earlier_events(tx, gateway, event, processed)?))
}

/// Reprocesses the events that named an order before the shop knew its provider id.
pub(super) fn reprocess_for_order(
    tx: &mut Tx<'_>,
    gateway: &dyn Gateway,
    provider_order_id: &str,
) -> Result<Vec<Effect>> {
    let events = store::events_of_unknown_order(tx, gateway.name(), provider_order_id)?;
    reprocess(tx, gateway, events)
}

/// Returns the effects of an event. After a capture, also resolves earlier mismatches of the same payment, and
/// reprocesses the refunds that arrived before it; their effects follow.
fn with_earlier_events(
    tx: &mut Tx<'_>,
    gateway: &dyn Gateway,
    event: &GatewayEvent,
    processed: Processed,
) -> Result<Vec<Effect>> {
    let mut effects = processed.effects;
    let is_capture = event.kind == EventKind::PaymentCaptured;
    let Some(payment) = event.payment.as_ref().filter(|_| is_capture) else {
        return Ok(effects);
    };
    if [Outcome::Captured, Outcome::Duplicate].contains(&processed.outcome) {
        let note = "the payment matched its order later";
        store::resolve_captures(tx, &payment.id, processed.order, note)?;
    }
    let events = store::events_of_unknown_payment(tx, gateway.name(), &payment.id)?;
    effects.extend(reprocess(tx, gateway, events)?);
    Ok(effects)
}

/// Parses stored bodies again, and replaces the outcomes of their events.
fn reprocess(
    tx: &mut Tx<'_>,
    gateway: &dyn Gateway,
    stored: Vec<(Uuid, Vec<u8>)>,
) -> Result<Vec<Effect>> {
    let mut effects = Vec::new();
    for (id, body) in stored {
        for event in gateway.webhooks().parse(&body) {
            if event.kind == EventKind::Unreadable {
                continue;
            }
            let processed = process::process(tx, gateway, &event)?;
            store::set_outcome(tx, id, processed.outcome, processed.order)?;
            effects.extend(with_earlier_events(tx, gateway, &event, processed)?);
        }
    }
    Ok(effects)
}
