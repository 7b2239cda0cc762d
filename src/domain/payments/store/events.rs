//! SQL of the provider's events. The column `event` has the provider's name of an event, so these statements
//! know Razorpay's names of a capture; a second provider needs a column for the kind.

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

const ALREADY_PAID: Outcome = Outcome::Unmatched(Mismatch::AlreadyPaid);

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
    pub(in crate::domain::payments) event: &'a GatewayEvent,
    pub(in crate::domain::payments) order: Option<OrderId>,
    pub(in crate::domain::payments) outcome: Outcome,
    pub(in crate::domain::payments) signature: &'a str,
    pub(in crate::domain::payments) body: &'a [u8],
}

pub(in crate::domain::payments) fn insert_event(tx: &mut Tx<'_>, row: &EventRow<'_>) -> Result<()> {
    let id: Uuid = tx.id();
    tx.execute(
        "INSERT INTO payment_events (id, event_key, event_id, event, order_id, provider_order_id,
                                     provider_payment_id, provider_refund_id, amount, outcome,
                                     signature, body, received_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        params![
            Value::Id(id),
            row.key,
            row.event.id.as_ref(),
            row.event.name.as_ref(),
            row.order,
            row.event.order_id(),
            row.event.payment_id(),
            row.event.refund_id(),
            row.event.amount(),
            row.outcome.as_str(),
            row.signature,
            row.body,
            tx.now()
        ],
    )?;
    Ok(())
}

/// Returns whether an event about the same payment, order, refund and amount had the same outcome.
pub(in crate::domain::payments) fn is_listed(tx: &mut Tx<'_>, row: &EventRow<'_>) -> Result<bool> {
    let found = tx.one(
        "SELECT 1 FROM payment_events
         WHERE provider_payment_id = ?1 AND outcome = ?2 AND amount = ?3
             AND coalesce(provider_order_id, '') = ?4 AND coalesce(provider_refund_id, '') = ?5",
        params![
            row.event.payment_id(),
            row.outcome.as_str(),
            row.event.amount(),
            row.event.order_id().unwrap_or_default(),
            row.event.refund_id().unwrap_or_default()
        ],
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

/// Returns the events with that outcome about an unknown order, with their bodies, oldest first.
pub(in crate::domain::payments) fn events_of_order(
    tx: &mut Tx<'_>,
    provider_order_id: &str,
    outcome: Outcome,
) -> Result<Vec<(Uuid, Vec<u8>)>> {
    tx.all(
        "SELECT id, body FROM payment_events
         WHERE provider_order_id = ?1 AND order_id IS NULL AND outcome = ?2
         ORDER BY received_at, id",
        params![provider_order_id, outcome.as_str()],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

/// Returns the events with that outcome about a payment, with their bodies, oldest first.
pub(in crate::domain::payments) fn events_of_payment(
    tx: &mut Tx<'_>,
    provider_payment_id: &str,
    outcome: Outcome,
) -> Result<Vec<(Uuid, Vec<u8>)>> {
    tx.all(
        "SELECT id, body FROM payment_events
         WHERE provider_payment_id = ?1 AND outcome = ?2 ORDER BY received_at, id",
        params![provider_payment_id, outcome.as_str()],
        |row| Ok((row.get(0)?, row.get(1)?)),
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
        "UPDATE payment_events SET outcome = ?2, order_id = ?3 WHERE id = ?1",
        params![Value::Id(id), outcome.as_str(), order],
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
        "SELECT order_id FROM payment_events
         WHERE provider_payment_id = ?1 AND outcome IN (?2, ?3) AND order_id IS NOT NULL LIMIT 1",
        params![
            provider_payment_id,
            Outcome::Duplicate.as_str(),
            ALREADY_PAID.as_str()
        ],
        |row| row.get(0),
    )
}

/// Records whether a duplicate payment has a refund that is pending or processed.
pub(in crate::domain::payments) fn set_duplicate_refunded(
    tx: &mut Tx<'_>,
    provider_payment_id: &str,
    is_refunded: bool,
) -> Result<()> {
    let (from, to) = if is_refunded {
        (ALREADY_PAID, Outcome::Duplicate)
    } else {
        (Outcome::Duplicate, ALREADY_PAID)
    };
    tx.execute(
        "UPDATE payment_events SET outcome = ?3 WHERE provider_payment_id = ?1 AND outcome = ?2",
        params![provider_payment_id, from.as_str(), to.as_str()],
    )?;
    Ok(())
}

/// Returns the amount of a capture that matches no order.
pub(in crate::domain::payments) fn unmatched_capture(
    tx: &mut Tx<'_>,
    provider_payment_id: &str,
) -> Result<Option<i64>> {
    let (from, to) = Outcome::UNMATCHED_RANGE;
    tx.one(
        "SELECT amount FROM payment_events
         WHERE provider_payment_id = ?1 AND outcome >= ?2 AND outcome < ?3
             AND event IN ('payment.captured', 'order.paid') AND amount IS NOT NULL
         ORDER BY amount DESC LIMIT 1",
        params![provider_payment_id, from, to],
        |row| row.get(0),
    )
}

/// Returns the provider's ids and the amounts of the refunds with that outcome.
pub(in crate::domain::payments) fn refunds_with_outcome(
    tx: &mut Tx<'_>,
    provider_payment_id: &str,
    outcome: Outcome,
) -> Result<Vec<(String, i64)>> {
    tx.all(
        "SELECT provider_refund_id, amount FROM payment_events
         WHERE provider_payment_id = ?1 AND outcome = ?2 AND provider_refund_id IS NOT NULL",
        params![provider_payment_id, outcome.as_str()],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

/// Resolves the captures of a payment: those for `order` or for no order, or all of them if `order` is `None`.
pub(in crate::domain::payments) fn resolve_captures(
    tx: &mut Tx<'_>,
    provider_payment_id: &str,
    order: Option<OrderId>,
    note: &str,
) -> Result<()> {
    let (from, to) = Outcome::UNMATCHED_RANGE;
    tx.execute(
        "UPDATE payment_events SET resolved_at = ?4, note = ?5
         WHERE provider_payment_id = ?1 AND outcome >= ?2 AND outcome < ?3
             AND event IN ('payment.captured', 'order.paid') AND resolved_at IS NULL
             AND (order_id IS NULL OR order_id = ?6 OR ?7 = 1)",
        params![
            provider_payment_id,
            from,
            to,
            tx.now(),
            note,
            order,
            order.is_none()
        ],
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
        "UPDATE payment_events SET resolved_at = ?3, resolved_by = ?4, note = ?5
         WHERE provider_payment_id = ?1 AND outcome = ?2 AND resolved_at IS NULL",
        params![
            provider_payment_id,
            ALREADY_PAID.as_str(),
            tx.now(),
            by,
            note
        ],
    )?;
    Ok(())
}
