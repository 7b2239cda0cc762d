//! The provider's events as rows.

use uuid::Uuid;

use super::lists::UNMATCHED_TEXTS;
use crate::{
    core::{
        error::Result,
        id::{OrderId, UserId},
    },
    domain::payments::verdict::{DUPLICATE, STUCK},
    infra::db::{Tx, Value, params},
};

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
    pub(in crate::domain::payments) event_id: Option<&'a str>,
    pub(in crate::domain::payments) event: Option<&'a str>,
    pub(in crate::domain::payments) order: Option<OrderId>,
    pub(in crate::domain::payments) provider_order_id: Option<&'a str>,
    pub(in crate::domain::payments) provider_payment_id: Option<&'a str>,
    pub(in crate::domain::payments) provider_refund_id: Option<&'a str>,
    pub(in crate::domain::payments) amount: Option<i64>,
    pub(in crate::domain::payments) outcome: &'a str,
    pub(in crate::domain::payments) signature: &'a str,
    pub(in crate::domain::payments) body: &'a [u8],
}

pub(in crate::domain::payments) fn insert_event(
    tx: &mut Tx<'_>,
    event: &EventRow<'_>,
) -> Result<()> {
    let id: Uuid = tx.id();
    tx.execute(
        "INSERT INTO payment_events (id, event_key, event_id, event, order_id, provider_order_id,
                                     provider_payment_id, provider_refund_id, amount, outcome,
                                     signature, body, received_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        params![
            Value::Id(id),
            event.key,
            event.event_id,
            event.event,
            event.order,
            event.provider_order_id,
            event.provider_payment_id,
            event.provider_refund_id,
            event.amount,
            event.outcome,
            event.signature,
            event.body,
            tx.now()
        ],
    )?;
    Ok(())
}

/// Whether the same was said of the same payment, and found to be the same.
pub(in crate::domain::payments) fn is_seen(tx: &mut Tx<'_>, event: &EventRow<'_>) -> Result<bool> {
    let found = tx.one(
        "SELECT 1 FROM payment_events
         WHERE provider_payment_id = ?1 AND outcome = ?2 AND amount = ?3
             AND coalesce(provider_order_id, '') = ?4 AND coalesce(provider_refund_id, '') = ?5",
        params![
            event.provider_payment_id,
            event.outcome,
            event.amount,
            event.provider_order_id.unwrap_or_default(),
            event.provider_refund_id.unwrap_or_default()
        ],
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

/// Events with that outcome about an order that was not known, with their bodies, the oldest first.
pub(in crate::domain::payments) fn events_of_order(
    tx: &mut Tx<'_>,
    provider_order_id: &str,
    outcome: &str,
) -> Result<Vec<(Uuid, Vec<u8>)>> {
    tx.all(
        "SELECT id, body FROM payment_events
         WHERE provider_order_id = ?1 AND order_id IS NULL AND outcome = ?2
         ORDER BY received_at, id",
        params![provider_order_id, outcome],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

/// The same about a payment.
pub(in crate::domain::payments) fn events_of_payment(
    tx: &mut Tx<'_>,
    provider_payment_id: &str,
    outcome: &str,
) -> Result<Vec<(Uuid, Vec<u8>)>> {
    tx.all(
        "SELECT id, body FROM payment_events
         WHERE provider_payment_id = ?1 AND outcome = ?2 ORDER BY received_at, id",
        params![provider_payment_id, outcome],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

/// Writes down what an event came to after all.
pub(in crate::domain::payments) fn judge_event(
    tx: &mut Tx<'_>,
    id: Uuid,
    outcome: &str,
    order: Option<OrderId>,
) -> Result<()> {
    tx.execute(
        "UPDATE payment_events SET outcome = ?2, order_id = ?3 WHERE id = ?1",
        params![Value::Id(id), outcome, order],
    )?;
    Ok(())
}

/// Whether this payment of the provider is money for an order that was paid before.
pub(in crate::domain::payments) fn is_duplicate(
    tx: &mut Tx<'_>,
    provider_payment_id: &str,
) -> Result<bool> {
    order_of_duplicate(tx, provider_payment_id).map(|order| order.is_some())
}

/// The order that was paid before.
pub(super) fn order_of_duplicate(
    tx: &mut Tx<'_>,
    provider_payment_id: &str,
) -> Result<Option<OrderId>> {
    tx.one(
        "SELECT order_id FROM payment_events
         WHERE provider_payment_id = ?1 AND outcome IN (?2, ?3) AND order_id IS NOT NULL LIMIT 1",
        params![provider_payment_id, DUPLICATE, STUCK],
        |row| row.get(0),
    )
}

/// Records whether a refund of such money is on its way, or has arrived.
pub(in crate::domain::payments) fn set_duplicate_refunded(
    tx: &mut Tx<'_>,
    provider_payment_id: &str,
    is_refunded: bool,
) -> Result<()> {
    let (from, to) = if is_refunded {
        (STUCK, DUPLICATE)
    } else {
        (DUPLICATE, STUCK)
    };
    tx.execute(
        "UPDATE payment_events SET outcome = ?3 WHERE provider_payment_id = ?1 AND outcome = ?2",
        params![provider_payment_id, from, to],
    )?;
    Ok(())
}

/// The sum of a capture that fits no order.
pub(in crate::domain::payments) fn unmatched_capture(
    tx: &mut Tx<'_>,
    provider_payment_id: &str,
) -> Result<Option<i64>> {
    let (from, to) = UNMATCHED_TEXTS;
    tx.one(
        "SELECT amount FROM payment_events
         WHERE provider_payment_id = ?1 AND outcome >= ?2 AND outcome < ?3
             AND event IN ('payment.captured', 'order.paid') AND amount IS NOT NULL
         ORDER BY amount DESC LIMIT 1",
        params![provider_payment_id, from, to],
        |row| row.get(0),
    )
}

/// The provider's ids and sums of the refunds with that outcome.
pub(in crate::domain::payments) fn refunds_elsewhere(
    tx: &mut Tx<'_>,
    provider_payment_id: &str,
    outcome: &str,
) -> Result<Vec<(String, i64)>> {
    tx.all(
        "SELECT provider_refund_id, amount FROM payment_events
         WHERE provider_payment_id = ?1 AND outcome = ?2 AND provider_refund_id IS NOT NULL",
        params![provider_payment_id, outcome],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

/// Takes the records of a payment's capture off the list for a person: for that order or
/// none, or with no order named, all of it.
pub(in crate::domain::payments) fn settle_captures(
    tx: &mut Tx<'_>,
    provider_payment_id: &str,
    order: Option<OrderId>,
    note: &str,
) -> Result<()> {
    let (from, to) = UNMATCHED_TEXTS;
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

/// Records that somebody has dealt with an event; by no account from the command line.
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

/// As [`resolve_event`], for what was recorded of an order's second payment.
pub(in crate::domain::payments) fn resolve_duplicate(
    tx: &mut Tx<'_>,
    provider_payment_id: &str,
    by: Option<UserId>,
    note: &str,
) -> Result<()> {
    tx.execute(
        "UPDATE payment_events SET resolved_at = ?3, resolved_by = ?4, note = ?5
         WHERE provider_payment_id = ?1 AND outcome = ?2 AND resolved_at IS NULL",
        params![provider_payment_id, STUCK, tx.now(), by, note],
    )?;
    Ok(())
}
