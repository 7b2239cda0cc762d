//! SQL of the provider's events. An id of a provider is unique across providers, as it is in `payments` and `refunds`.

use uuid::Uuid;

use crate::{
    core::{
        error::Result,
        id::{OrderId, UserId},
    },
    domain::payments::{Mismatch, Outcome},
    infra::{
        db::{Tx, Value, params},
        ports::gateway::GatewayEvent,
    },
};

/// Selects the captures that match no order.
const UNMATCHED_CAPTURE: &str = "outcome = 'unmatched' AND kind = 'payment_captured'";

/// Selects the payments for orders that were already paid, regardless of their refunds.
pub(super) const DUPLICATE: &str =
    "(outcome = 'duplicate' OR (outcome = 'unmatched' AND mismatch = 'already_paid'))";

pub(in crate::domain::payments) fn event_is_known(tx: &mut Tx<'_>, key: &[u8]) -> Result<bool> {
    let found = tx.one(
        "SELECT 1 FROM payment_events WHERE event_key = ?1",
        params![key],
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

pub(in crate::domain::payments) struct EventRow<'a> {
    pub(in crate::domain::payments) key: &'a [u8],
    pub(in crate::domain::payments) provider: &'a str,
    pub(in crate::domain::payments) event: &'a GatewayEvent,
    pub(in crate::domain::payments) order: Option<OrderId>,
    pub(in crate::domain::payments) outcome: Outcome,
    pub(in crate::domain::payments) signature: &'a str,
    pub(in crate::domain::payments) body: &'a [u8],
}

pub(in crate::domain::payments) fn insert_event(tx: &mut Tx<'_>, row: &EventRow<'_>) -> Result<()> {
    let id: Uuid = tx.id();
    tx.execute(
        "INSERT INTO payment_events (id, event_key, provider, event_id, event, kind, order_id,
                                     provider_order_id, provider_payment_id, provider_refund_id,
                                     amount, outcome, mismatch, signature, body, received_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
        params![
            Value::Id(id),
            row.key,
            row.provider,
            row.event.id.as_ref(),
            row.event.name.as_ref(),
            row.event.kind,
            row.order,
            row.event.order_id(),
            row.event.payment_id(),
            row.event.refund_id(),
            row.event.amount(),
            row.outcome.as_str(),
            row.outcome.mismatch(),
            row.signature,
            row.body,
            tx.now()
        ],
    )?;
    Ok(())
}

/// Returns whether an event about the same payment, order, refund and amount is unmatched for the same reason.
pub(in crate::domain::payments) fn is_listed(
    tx: &mut Tx<'_>,
    event: &GatewayEvent,
    mismatch: Mismatch,
) -> Result<bool> {
    let found = tx.one(
        "SELECT 1 FROM payment_events
         WHERE provider_payment_id = ?1 AND outcome = 'unmatched' AND mismatch = ?2 AND amount = ?3
             AND coalesce(provider_order_id, '') = ?4 AND coalesce(provider_refund_id, '') = ?5",
        params![
            event.payment_id(),
            mismatch,
            event.amount(),
            event.order_id().unwrap_or_default(),
            event.refund_id().unwrap_or_default()
        ],
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

/// Returns the provider's events about an order that was not known, with their bodies, oldest first.
pub(in crate::domain::payments) fn events_of_unknown_order(
    tx: &mut Tx<'_>,
    provider: &str,
    provider_order_id: &str,
) -> Result<Vec<(Uuid, Vec<u8>)>> {
    tx.all(
        "SELECT id, body FROM payment_events
         WHERE provider_order_id = ?1 AND order_id IS NULL AND provider = ?2
             AND outcome = 'unmatched' AND mismatch = 'unknown_order'
         ORDER BY received_at, id",
        params![provider_order_id, provider],
        |row| Ok((row.get("id")?, row.get("body")?)),
    )
}

/// Returns the provider's events about refunds of a payment that was not known, with their bodies, oldest first.
pub(in crate::domain::payments) fn events_of_unknown_payment(
    tx: &mut Tx<'_>,
    provider: &str,
    provider_payment_id: &str,
) -> Result<Vec<(Uuid, Vec<u8>)>> {
    tx.all(
        "SELECT id, body FROM payment_events
         WHERE provider_payment_id = ?1 AND provider = ?2
             AND outcome = 'unmatched' AND mismatch = 'unknown_payment'
         ORDER BY received_at, id",
        params![provider_payment_id, provider],
        |row| Ok((row.get("id")?, row.get("body")?)),
    )
}

/// Replaces the outcome of a reprocessed event.
pub(in crate::domain::payments) fn set_outcome(
    tx: &mut Tx<'_>,
    id: Uuid,
    outcome: Outcome,
    order: Option<OrderId>,
) -> Result<()> {
    tx.execute(
        "UPDATE payment_events SET outcome = ?2, mismatch = coalesce(?3, mismatch), order_id = ?4
         WHERE id = ?1",
        params![Value::Id(id), outcome.as_str(), outcome.mismatch(), order],
    )?;
    Ok(())
}

/// Returns whether a provider's payment is a duplicate.
pub(in crate::domain::payments) fn is_duplicate(
    tx: &mut Tx<'_>,
    provider_payment_id: &str,
) -> Result<bool> {
    order_of_duplicate(tx, provider_payment_id).map(|order| order.is_some())
}

/// Returns the order of a duplicate payment.
pub(super) fn order_of_duplicate(
    tx: &mut Tx<'_>,
    provider_payment_id: &str,
) -> Result<Option<OrderId>> {
    tx.one(
        &format!(
            "SELECT order_id FROM payment_events
             WHERE provider_payment_id = ?1 AND {DUPLICATE} AND order_id IS NOT NULL LIMIT 1"
        ),
        params![provider_payment_id],
        |row| row.get("order_id"),
    )
}

/// Records that a duplicate payment has a refund that is pending or processed. The event keeps its mismatch: if an
/// admin resolved it before, its entry still shows the reason.
pub(in crate::domain::payments) fn set_duplicate_refunded(
    tx: &mut Tx<'_>,
    provider_payment_id: &str,
) -> Result<()> {
    tx.execute(
        "UPDATE payment_events SET outcome = 'duplicate'
         WHERE provider_payment_id = ?1 AND outcome = 'unmatched' AND mismatch = 'already_paid'",
        params![provider_payment_id],
    )?;
    Ok(())
}

/// Records that the refund of a duplicate payment failed.
pub(in crate::domain::payments) fn set_duplicate_unmatched(
    tx: &mut Tx<'_>,
    provider_payment_id: &str,
) -> Result<()> {
    tx.execute(
        "UPDATE payment_events SET outcome = 'unmatched', mismatch = 'already_paid'
         WHERE provider_payment_id = ?1 AND outcome = 'duplicate'",
        params![provider_payment_id],
    )?;
    Ok(())
}

/// Returns the amount of a capture that matches no order.
pub(in crate::domain::payments) fn unmatched_capture(
    tx: &mut Tx<'_>,
    provider_payment_id: &str,
) -> Result<Option<i64>> {
    tx.one(
        &format!(
            "SELECT amount FROM payment_events
             WHERE provider_payment_id = ?1 AND {UNMATCHED_CAPTURE} AND amount IS NOT NULL
             ORDER BY amount DESC LIMIT 1"
        ),
        params![provider_payment_id],
        |row| row.get("amount"),
    )
}

/// Returns the provider's ids and the amounts of the refunds of an unmatched payment in the provider's dashboard.
pub(in crate::domain::payments) fn refunds_at_provider(
    tx: &mut Tx<'_>,
    provider_payment_id: &str,
) -> Result<Vec<(String, i64)>> {
    tx.all(
        "SELECT provider_refund_id, amount FROM payment_events
         WHERE provider_payment_id = ?1 AND outcome = 'refunded_at_provider'
             AND provider_refund_id IS NOT NULL",
        params![provider_payment_id],
        |row| Ok((row.get("provider_refund_id")?, row.get("amount")?)),
    )
}

/// Resolves the captures of a payment: those for `order` or for no order, or all of them if `order` is `None`.
pub(in crate::domain::payments) fn resolve_captures(
    tx: &mut Tx<'_>,
    provider_payment_id: &str,
    order: Option<OrderId>,
    note: &str,
) -> Result<()> {
    tx.execute(
        &format!(
            "UPDATE payment_events SET resolved_at = ?2, note = ?3
             WHERE provider_payment_id = ?1 AND {UNMATCHED_CAPTURE} AND resolved_at IS NULL
                 AND (order_id IS NULL OR order_id = ?4 OR ?5 = 1)"
        ),
        params![provider_payment_id, tx.now(), note, order, order.is_none()],
    )?;
    Ok(())
}

/// Resolves an event. `by` is `None` on the command line.
pub(in crate::domain::payments) fn resolve_event(
    tx: &mut Tx<'_>,
    id: Uuid,
    by: Option<UserId>,
    note: &str,
) -> Result<()> {
    tx.execute(
        "UPDATE payment_events SET resolved_at = ?2, resolved_by = ?3, note = ?4
         WHERE id = ?1 AND resolved_at IS NULL",
        params![Value::Id(id), tx.now(), by, note],
    )?;
    Ok(())
}

/// Resolves the event of a duplicate payment.
pub(in crate::domain::payments) fn resolve_duplicate(
    tx: &mut Tx<'_>,
    provider_payment_id: &str,
    by: Option<UserId>,
    note: &str,
) -> Result<()> {
    tx.execute(
        "UPDATE payment_events SET resolved_at = ?2, resolved_by = ?3, note = ?4
         WHERE provider_payment_id = ?1 AND outcome = 'unmatched' AND mismatch = 'already_paid'
             AND resolved_at IS NULL",
        params![provider_payment_id, tx.now(), by, note],
    )?;
    Ok(())
}
