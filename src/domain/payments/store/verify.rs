//! The rows of payments held against those of refunds and of what the provider said.

use crate::{
    core::{error::Result, finding::ASKED, id::OrderId},
    domain::payments::verdict::{DUPLICATE, STUCK},
    infra::db::{Tx, params},
};

/// Payments of which more is given back, or about to be, than was captured: with both sums.
pub(in crate::domain::payments) fn overdrawn(tx: &mut Tx<'_>) -> Result<Vec<(OrderId, i64, i64)>> {
    tx.all(
        "SELECT p.order_id, CAST(r.back AS BIGINT),
             CASE WHEN p.status IN ('CAPTURED', 'REFUNDED') THEN p.amount ELSE 0 END
         FROM payments p JOIN (
             SELECT order_id, sum(amount) AS back FROM refunds
             WHERE status <> 'FAILED' AND transaction_id IS NULL GROUP BY order_id
         ) r ON r.order_id = p.order_id
         WHERE r.back > CASE WHEN p.status IN ('CAPTURED', 'REFUNDED') THEN p.amount ELSE 0 END
         ORDER BY p.order_id LIMIT ?1",
        params![ASKED],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )
}

/// A payment, and what the provider said of its capture.
pub(in crate::domain::payments) struct Unproven {
    pub(in crate::domain::payments) order: OrderId,
    pub(in crate::domain::payments) status: String,
    pub(in crate::domain::payments) amount: i64,
    pub(in crate::domain::payments) transaction: Option<String>,
    /// How many captures of it are on record.
    pub(in crate::domain::payments) captures: i64,
    /// Of one of them.
    pub(in crate::domain::payments) captured: Option<i64>,
    pub(in crate::domain::payments) captured_as: Option<String>,
}

/// Payments that are captured without exactly one capture on record, of that amount and transaction;
/// and those that are not, with one.
pub(in crate::domain::payments) fn unproven(tx: &mut Tx<'_>) -> Result<Vec<Unproven>> {
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
        params![ASKED],
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
pub(in crate::domain::payments) fn misnamed(
    tx: &mut Tx<'_>,
) -> Result<Vec<(OrderId, String, i64, i64)>> {
    tx.all(
        "SELECT p.order_id, p.status, p.amount, CAST(coalesce(r.back, 0) AS BIGINT)
         FROM payments p LEFT JOIN (
             SELECT order_id, sum(amount) AS back FROM refunds
             WHERE status = 'PROCESSED' AND transaction_id IS NULL GROUP BY order_id
         ) r ON r.order_id = p.order_id
         WHERE CASE WHEN p.status = 'REFUNDED' THEN coalesce(r.back, 0) <> p.amount
             ELSE r.back = p.amount END
         ORDER BY p.order_id LIMIT ?1",
        params![ASKED],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
    )
}

/// Money that came once more for an order, and whose refunds, done or on their way, are another sum than it;
/// or the same sum where it is listed for a person. Also refunds of such money without a record of it. With
/// the provider's id, what came and what goes back.
pub(in crate::domain::payments) fn unrefunded_duplicates(
    tx: &mut Tx<'_>,
) -> Result<Vec<(OrderId, String, i64, i64)>> {
    tx.all(
        "SELECT coalesce(e.order_id, r.order_id), coalesce(e.provider_payment_id, r.transaction_id),
             coalesce(e.amount, 0), CAST(coalesce(r.back, 0) AS BIGINT)
         FROM (SELECT order_id, provider_payment_id, amount, outcome FROM payment_events
               WHERE outcome IN (?1, ?2) AND order_id IS NOT NULL) e
         FULL JOIN (SELECT order_id, transaction_id, sum(amount) AS back FROM refunds
                    WHERE status <> 'FAILED' AND transaction_id IS NOT NULL
                    GROUP BY order_id, transaction_id) r
             ON r.transaction_id = e.provider_payment_id
         WHERE CASE WHEN e.outcome = ?1 THEN coalesce(r.back, 0) <> e.amount
             ELSE coalesce(r.back, 0) >= coalesce(e.amount, 0) END
         ORDER BY 1 LIMIT ?3",
        params![DUPLICATE, STUCK, ASKED],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
    )
}
