//! The provider's events as rows.

use uuid::Uuid;

use crate::{
    args,
    db::{Tx, Value},
    error::Result,
    id::OrderId,
};

pub(in crate::payments) fn event_is_known(tx: &mut Tx<'_>, key: &[u8]) -> Result<bool> {
    let found = tx.one(
        "SELECT 1 FROM payment_events WHERE event_key = ?1",
        args![key],
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

pub(in crate::payments) struct EventRow<'a> {
    pub(in crate::payments) key: &'a [u8],
    pub(in crate::payments) event_id: Option<&'a str>,
    pub(in crate::payments) event: Option<&'a str>,
    pub(in crate::payments) order: Option<OrderId>,
    pub(in crate::payments) provider_order_id: Option<&'a str>,
    pub(in crate::payments) provider_payment_id: Option<&'a str>,
    pub(in crate::payments) amount: Option<i64>,
    pub(in crate::payments) outcome: &'a str,
    pub(in crate::payments) signature: &'a str,
    pub(in crate::payments) body: &'a [u8],
}

pub(in crate::payments) fn insert_event(tx: &mut Tx<'_>, event: &EventRow<'_>) -> Result<()> {
    let id: Uuid = tx.id();
    tx.execute(
        "INSERT INTO payment_events (id, event_key, event_id, event, order_id, provider_order_id,
                                     provider_payment_id, amount, outcome, signature, body,
                                     received_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        args![
            Value::Id(id),
            event.key,
            event.event_id,
            event.event,
            event.order,
            event.provider_order_id,
            event.provider_payment_id,
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
pub(in crate::payments) fn is_seen(tx: &mut Tx<'_>, event: &EventRow<'_>) -> Result<bool> {
    let found = tx.one(
        "SELECT 1 FROM payment_events
         WHERE provider_payment_id = ?1 AND outcome = ?2 AND amount = ?3
             AND coalesce(provider_order_id, '') = ?4",
        args![
            event.provider_payment_id,
            event.outcome,
            event.amount,
            event.provider_order_id.unwrap_or_default()
        ],
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

/// Events with that outcome about an order that was not known, with their bodies, the oldest first.
pub(in crate::payments) fn events_of_order(
    tx: &mut Tx<'_>,
    provider_order_id: &str,
    outcome: &str,
) -> Result<Vec<(Uuid, Vec<u8>)>> {
    tx.all(
        "SELECT id, body FROM payment_events
         WHERE provider_order_id = ?1 AND order_id IS NULL AND outcome = ?2
         ORDER BY received_at, id",
        args![provider_order_id, outcome],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

/// The same about a payment.
pub(in crate::payments) fn events_of_payment(
    tx: &mut Tx<'_>,
    provider_payment_id: &str,
    outcome: &str,
) -> Result<Vec<(Uuid, Vec<u8>)>> {
    tx.all(
        "SELECT id, body FROM payment_events
         WHERE provider_payment_id = ?1 AND outcome = ?2 ORDER BY received_at, id",
        args![provider_payment_id, outcome],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

/// Writes down what an event came to after all.
pub(in crate::payments) fn judge_event(
    tx: &mut Tx<'_>,
    id: Uuid,
    outcome: &str,
    order: Option<OrderId>,
) -> Result<()> {
    tx.execute(
        "UPDATE payment_events SET outcome = ?2, order_id = ?3 WHERE id = ?1",
        args![Value::Id(id), outcome, order],
    )?;
    Ok(())
}
