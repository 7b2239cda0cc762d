//! Refunds as rows.

use std::collections::HashMap;

use crate::{
    args,
    clock::Timestamp,
    db::{Row, Sql, Tx, Value, rows_of},
    error::{Error, Result},
    id::{OrderId, RefundId},
    money::Money,
    payments::{Refund, RefundCause, RefundDue, RefundStatus},
};

/// A refund that is to be sent to the provider where that is still to be done.
pub(in crate::payments) fn insert_refund(
    tx: &mut Tx<'_>,
    order: OrderId,
    refund: &Refund,
    cause: RefundCause,
) -> Result<()> {
    let due = (cause != RefundCause::Provider).then(|| tx.now());
    tx.execute(
        "INSERT INTO refunds (id, order_id, amount, status, cause, restock, provider_refund_id,
                              due_at, tries, error, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, NULL, ?7, 0, NULL, ?8, ?8)",
        args![
            refund.id,
            order,
            refund.amount,
            refund.status.as_str(),
            cause.as_str(),
            refund.restock,
            due,
            tx.now()
        ],
    )?;
    Ok(())
}

/// Adds the refunds of these orders, the oldest first.
pub(super) fn of_orders(
    tx: &mut Tx<'_>,
    orders: &[OrderId],
    refunds: &mut HashMap<OrderId, Vec<Refund>>,
) -> Result<()> {
    if orders.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "SELECT order_id, id, amount, status, restock FROM refunds WHERE order_id IN {}
         ORDER BY order_id, id",
        rows_of(orders.len(), 1)
    );
    let ids: Vec<Value<'_>> = orders.iter().map(|id| Value::from(*id)).collect();
    tx.each(&sql, &ids, |row| {
        refunds.entry(row.get(0)?).or_default().push(Refund {
            id: row.get(1)?,
            amount: row.get(2)?,
            status: status(row)?,
            restock: row.get::<i64>(4)? == 1,
        });
        Ok(())
    })
}

fn status(row: &Row<'_>) -> Result<RefundStatus> {
    let text: &str = row.get(3)?;
    RefundStatus::parse(text).ok_or_else(|| Error::internal(format!("a stored refund is `{text}`")))
}

/// What went back, or is on its way.
pub(super) fn sum(refunds: &[Refund]) -> Result<Money> {
    let counted = refunds
        .iter()
        .filter(|refund| refund.status != RefundStatus::Failed);
    counted
        .map(|refund| refund.amount)
        .try_fold(Money::ZERO, Money::plus)
}

/// The refund that the provider calls so, or that the shop does, with its order.
pub(in crate::payments) fn refund_by_name(
    tx: &mut Tx<'_>,
    provider_refund_id: &str,
    own: Option<RefundId>,
) -> Result<Option<(RefundId, OrderId)>> {
    tx.one(
        "SELECT id, order_id FROM refunds WHERE provider_refund_id = ?1
         UNION ALL
         SELECT id, order_id FROM refunds WHERE id = ?2 AND provider_refund_id IS NULL",
        args![provider_refund_id, own],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

/// The oldest refund of that sum which waits to be named.
pub(in crate::payments) fn nameless_refund(
    tx: &mut Tx<'_>,
    order: OrderId,
    amount: i64,
) -> Result<Option<RefundId>> {
    tx.one(
        "SELECT id FROM refunds WHERE order_id = ?1 AND amount = ?2 AND status = 'PENDING'
             AND provider_refund_id IS NULL AND tries > 0 ORDER BY id LIMIT 1",
        args![order, amount],
        |row| row.get(0),
    )
}

pub(in crate::payments) fn process_refund(
    tx: &mut Tx<'_>,
    id: RefundId,
    provider_refund_id: &str,
) -> Result<()> {
    tx.execute(
        "UPDATE refunds SET status = 'PROCESSED', provider_refund_id = ?2, due_at = NULL,
             error = NULL, updated_at = ?3
         WHERE id = ?1",
        args![id, provider_refund_id, tx.now()],
    )?;
    Ok(())
}

pub(in crate::payments) fn fail_refund(tx: &mut Tx<'_>, id: RefundId, why: &str) -> Result<()> {
    tx.execute(
        "UPDATE refunds SET status = 'FAILED', due_at = NULL, error = ?2, updated_at = ?3
         WHERE id = ?1 AND status = 'PENDING'",
        args![id, why, tx.now()],
    )?;
    Ok(())
}

/// Names a refund as the provider does; now its word is waited for.
pub(in crate::payments) fn name_refund(
    tx: &mut Tx<'_>,
    id: RefundId,
    provider_refund_id: &str,
) -> Result<()> {
    tx.execute(
        "UPDATE refunds SET provider_refund_id = ?2, due_at = NULL, error = NULL, updated_at = ?3
         WHERE id = ?1",
        args![id, provider_refund_id, tx.now()],
    )?;
    Ok(())
}

pub(in crate::payments) fn refunds_due(
    tx: &mut Tx<'_>,
    provider: &str,
    absurd: Timestamp,
    most: i64,
) -> Result<Vec<RefundDue>> {
    let sql = "SELECT r.id, r.order_id, p.transaction_id, r.amount, r.tries
         FROM refunds r JOIN payments p ON p.order_id = r.order_id
         WHERE p.provider = ?1 AND r.due_at IS NOT NULL AND (r.due_at <= ?2 OR r.due_at > ?3)
         ORDER BY r.due_at, r.id LIMIT ?4";
    let args = args![provider, tx.now(), absurd, most];
    tx.all(Sql::from(sql).locking("p, r"), args, |row| {
        Ok(RefundDue {
            refund: row.get(0)?,
            order: row.get(1)?,
            transaction_id: row.get(2)?,
            amount: row.get(3)?,
            tries: row.get::<i64>(4)? + 1,
        })
    })
}

pub(in crate::payments) fn claim_refund(
    tx: &mut Tx<'_>,
    id: RefundId,
    until: Timestamp,
) -> Result<()> {
    tx.execute(
        "UPDATE refunds SET due_at = ?2, tries = tries + 1 WHERE id = ?1",
        args![id, until],
    )?;
    Ok(())
}

pub(in crate::payments) fn put_off_refund(
    tx: &mut Tx<'_>,
    id: RefundId,
    next: Timestamp,
    why: &str,
) -> Result<()> {
    tx.execute(
        "UPDATE refunds SET due_at = ?2, error = ?3 WHERE id = ?1 AND due_at IS NOT NULL",
        args![id, next, why],
    )?;
    Ok(())
}
