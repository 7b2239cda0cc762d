//! The rows of payments held against those of refunds and of what the provider said.

use crate::{args, db::Tx, error::Result, finding::ASKED, id::OrderId};

/// Payments of which more is given back, or about to be, than was captured: with both sums.
pub(in crate::payments) fn overdrawn(tx: &mut Tx<'_>) -> Result<Vec<(OrderId, i64, i64)>> {
    tx.all(
        "SELECT p.order_id, CAST(r.back AS BIGINT),
             CASE WHEN p.status IN ('CAPTURED', 'REFUNDED') THEN p.amount ELSE 0 END
         FROM payments p JOIN (
             SELECT order_id, sum(amount) AS back FROM refunds
             WHERE status <> 'FAILED' GROUP BY order_id
         ) r ON r.order_id = p.order_id
         WHERE r.back > CASE WHEN p.status IN ('CAPTURED', 'REFUNDED') THEN p.amount ELSE 0 END
         ORDER BY p.order_id LIMIT ?1",
        args![ASKED],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )
}

/// A payment, and what the provider said of its capture.
pub(in crate::payments) struct Unproven {
    pub(in crate::payments) order: OrderId,
    pub(in crate::payments) status: String,
    pub(in crate::payments) amount: i64,
    pub(in crate::payments) transaction: Option<String>,
    /// How many captures of it are on record.
    pub(in crate::payments) captures: i64,
    /// Of one of them.
    pub(in crate::payments) captured: Option<i64>,
    pub(in crate::payments) captured_as: Option<String>,
}

/// Payments that are captured without exactly one capture on record, of that amount and transaction;
/// and those that are not, with one.
pub(in crate::payments) fn unproven(tx: &mut Tx<'_>) -> Result<Vec<Unproven>> {
    tx.all(
        "SELECT p.order_id, p.status, p.amount, p.transaction_id, coalesce(e.captures, 0), e.amount,
             e.transaction_id
         FROM payments p LEFT JOIN (
             SELECT order_id, count(*) AS captures, min(amount) AS amount,
                 min(provider_payment_id) AS transaction_id
             FROM payment_events WHERE outcome = 'captured' GROUP BY order_id
         ) e ON e.order_id = p.order_id
         WHERE CASE WHEN p.status IN ('CAPTURED', 'REFUNDED')
             THEN NOT (coalesce(e.captures, 0) = 1 AND coalesce(e.amount, -1) = p.amount
                 AND coalesce(e.transaction_id, '') = coalesce(p.transaction_id, '-'))
             ELSE p.transaction_id IS NOT NULL OR e.captures IS NOT NULL END
         ORDER BY p.order_id LIMIT ?1",
        args![ASKED],
        |row| {
            Ok(Unproven {
                order: row.get(0)?,
                status: row.get(1)?,
                amount: row.get(2)?,
                transaction: row.get(3)?,
                captures: row.get(4)?,
                captured: row.get(5)?,
                captured_as: row.get(6)?,
            })
        },
    )
}

/// Payments that are called refunded and are not given back in full, or the other way round: with their
/// status, their amount and what came back.
pub(in crate::payments) fn misnamed(tx: &mut Tx<'_>) -> Result<Vec<(OrderId, String, i64, i64)>> {
    tx.all(
        "SELECT p.order_id, p.status, p.amount, CAST(coalesce(r.back, 0) AS BIGINT)
         FROM payments p LEFT JOIN (
             SELECT order_id, sum(amount) AS back FROM refunds
             WHERE status = 'PROCESSED' GROUP BY order_id
         ) r ON r.order_id = p.order_id
         WHERE CASE WHEN p.status = 'REFUNDED' THEN coalesce(r.back, 0) <> p.amount
             ELSE r.back = p.amount END
         ORDER BY p.order_id LIMIT ?1",
        args![ASKED],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
    )
}
