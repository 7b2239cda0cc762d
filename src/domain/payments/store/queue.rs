//! SQL of the queue of requests to the provider.

use crate::{
    core::{
        clock::Timestamp,
        error::Result,
        id::{OrderId, RefundId},
    },
    domain::payments::{QueuedOrder, QueuedRefund},
    infra::db::{Sql, Tx, params},
};

/// Returns whether an order or a refund is due. A time after `latest` was written before the clock was set back.
pub(in crate::domain::payments) fn has_due(
    tx: &mut Tx<'_>,
    provider: &str,
    latest: Timestamp,
) -> Result<bool> {
    let found = tx.one(
        "SELECT 1 FROM payments
         WHERE provider = ?1 AND due_at IS NOT NULL AND (due_at <= ?2 OR due_at > ?3)
         UNION ALL
         SELECT 1 FROM refunds r JOIN payments p ON p.order_id = r.order_id
         WHERE p.provider = ?1 AND r.due_at IS NOT NULL AND (r.due_at <= ?2 OR r.due_at > ?3)
         LIMIT 1",
        params![provider, tx.now(), latest],
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

pub(in crate::domain::payments) fn due_orders(
    tx: &mut Tx<'_>,
    provider: &str,
    latest: Timestamp,
    limit: i64,
) -> Result<Vec<QueuedOrder>> {
    let sql = "SELECT order_id, amount, tries FROM payments
         WHERE provider = ?1 AND due_at IS NOT NULL AND (due_at <= ?2 OR due_at > ?3)
         ORDER BY due_at LIMIT ?4";
    let args = params![provider, tx.now(), latest, limit];
    tx.all(Sql::from(sql).for_update("payments"), args, |row| {
        Ok(QueuedOrder {
            order: row.get(0)?,
            amount: row.get(1)?,
            attempts: row.get::<i64>(2)? + 1,
        })
    })
}

pub(in crate::domain::payments) fn lease_order(
    tx: &mut Tx<'_>,
    order: OrderId,
    until: Timestamp,
) -> Result<()> {
    tx.execute(
        "UPDATE payments SET due_at = ?2, tries = tries + 1 WHERE order_id = ?1",
        params![order, until],
    )?;
    Ok(())
}

/// Sets when the order is attempted next; `None` removes it from the queue.
pub(in crate::domain::payments) fn reschedule_order(
    tx: &mut Tx<'_>,
    order: OrderId,
    next: Option<Timestamp>,
    reason: Option<&str>,
) -> Result<()> {
    tx.execute(
        "UPDATE payments SET due_at = ?2, error = ?3 WHERE order_id = ?1 AND due_at IS NOT NULL",
        params![order, next, reason],
    )?;
    Ok(())
}

pub(in crate::domain::payments) fn due_refunds(
    tx: &mut Tx<'_>,
    provider: &str,
    latest: Timestamp,
    limit: i64,
) -> Result<Vec<QueuedRefund>> {
    let sql =
        "SELECT r.id, r.order_id, coalesce(r.transaction_id, p.transaction_id), r.amount, r.tries,
             r.transaction_id
         FROM refunds r JOIN payments p ON p.order_id = r.order_id
         WHERE p.provider = ?1 AND r.due_at IS NOT NULL AND (r.due_at <= ?2 OR r.due_at > ?3)
         ORDER BY r.due_at, r.id LIMIT ?4";
    let args = params![provider, tx.now(), latest, limit];
    tx.all(Sql::from(sql).for_update("p, r"), args, |row| {
        Ok(QueuedRefund {
            refund: row.get(0)?,
            order: row.get(1)?,
            transaction_id: row.get(2)?,
            amount: row.get(3)?,
            attempts: row.get::<i64>(4)? + 1,
            duplicate: row.get(5)?,
        })
    })
}

pub(in crate::domain::payments) fn lease_refund(
    tx: &mut Tx<'_>,
    id: RefundId,
    until: Timestamp,
) -> Result<()> {
    tx.execute(
        "UPDATE refunds SET due_at = ?2, tries = tries + 1 WHERE id = ?1",
        params![id, until],
    )?;
    Ok(())
}

pub(in crate::domain::payments) fn reschedule_refund(
    tx: &mut Tx<'_>,
    id: RefundId,
    next: Timestamp,
    reason: &str,
) -> Result<()> {
    tx.execute(
        "UPDATE refunds SET due_at = ?2, error = ?3 WHERE id = ?1 AND due_at IS NOT NULL",
        params![id, next, reason],
    )?;
    Ok(())
}
