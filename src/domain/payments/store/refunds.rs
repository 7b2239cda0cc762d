//! Refunds as rows.

use std::collections::HashMap;

use crate::{
    core::{
        clock::Timestamp,
        error::{Error, Result},
        id::{OrderId, RefundId, UserId},
        money::Money,
    },
    domain::payments::{Payment, Refund, RefundCause, RefundDue, RefundStatus},
    infra::db::{Row, Sql, Tx, Value, params, placeholders},
};

/// A refund's row, as events and commands name it.
pub(in crate::domain::payments) struct Named {
    pub(in crate::domain::payments) refund: RefundId,
    pub(in crate::domain::payments) order: OrderId,
    /// The provider's payment, where it is not the order's own.
    pub(in crate::domain::payments) transaction: Option<String>,
}

/// A refund that is to be sent to the provider where that is still to be done.
pub(in crate::domain::payments) fn insert_refund(
    tx: &mut Tx<'_>,
    payment: &Payment,
    refund: &Refund,
    cause: RefundCause,
) -> Result<()> {
    let due = (cause != RefundCause::Provider).then(|| tx.now());
    tx.execute(
        "INSERT INTO refunds (id, order_id, amount, status, cause, restock, provider_refund_id,
                              transaction_id, due_at, tries, error, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, NULL, ?9, ?7, 0, NULL, ?8, ?8)",
        params![
            refund.id,
            payment.order,
            refund.amount,
            refund.status.as_str(),
            cause.as_str(),
            refund.restock,
            due,
            tx.now(),
            payment.duplicate_id()
        ],
    )?;
    Ok(())
}

/// The refunds of money that was paid twice, the oldest first.
pub(in crate::domain::payments) fn of_duplicate(
    tx: &mut Tx<'_>,
    transaction: &str,
) -> Result<Vec<Refund>> {
    tx.all(
        "SELECT order_id, id, amount, status, restock FROM refunds WHERE transaction_id = ?1
         ORDER BY id",
        params![transaction],
        refund,
    )
}

/// Adds the refunds of these orders' own payments, the oldest first.
pub(super) fn of_orders(
    tx: &mut Tx<'_>,
    orders: &[OrderId],
    refunds: &mut HashMap<OrderId, Vec<Refund>>,
) -> Result<()> {
    if orders.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "SELECT order_id, id, amount, status, restock FROM refunds
         WHERE order_id IN {} AND transaction_id IS NULL ORDER BY order_id, id",
        placeholders(orders.len(), 1)
    );
    let ids: Vec<Value<'_>> = orders.iter().map(|id| Value::from(*id)).collect();
    tx.each(&sql, &ids, |row| {
        refunds.entry(row.get(0)?).or_default().push(refund(row)?);
        Ok(())
    })
}

fn refund(row: &Row<'_>) -> Result<Refund> {
    Ok(Refund {
        id: row.get(1)?,
        amount: row.get(2)?,
        status: status(row)?,
        restock: row.get::<i64>(4)? == 1,
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

/// The refund that the provider calls so, or that the shop does.
pub(in crate::domain::payments) fn refund_by_name(
    tx: &mut Tx<'_>,
    provider_refund_id: &str,
    own: Option<RefundId>,
) -> Result<Option<Named>> {
    tx.one(
        "SELECT id, order_id, transaction_id FROM refunds WHERE provider_refund_id = ?1
         UNION ALL
         SELECT id, order_id, transaction_id FROM refunds
         WHERE id = ?2 AND provider_refund_id IS NULL",
        params![provider_refund_id, own],
        named,
    )
}

fn named(row: &Row<'_>) -> Result<Named> {
    Ok(Named {
        refund: row.get(0)?,
        order: row.get(1)?,
        transaction: row.get(2)?,
    })
}

/// The oldest refund of that sum which waits to be named. One that nobody asked for, since the money was
/// not due, need not be sent where somebody has refunded it at the provider.
pub(in crate::domain::payments) fn nameless_refund(
    tx: &mut Tx<'_>,
    payment: &Payment,
    amount: i64,
) -> Result<Option<RefundId>> {
    tx.one(
        "SELECT id FROM refunds WHERE order_id = ?1 AND coalesce(transaction_id, '') = ?3
             AND amount = ?2 AND status = 'PENDING' AND provider_refund_id IS NULL
             AND (tries > 0 OR cause = 'late') ORDER BY id LIMIT 1",
        params![
            payment.order,
            amount,
            payment.duplicate_id().unwrap_or_default()
        ],
        |row| row.get(0),
    )
}

pub(in crate::domain::payments) fn process_refund(
    tx: &mut Tx<'_>,
    id: RefundId,
    provider_refund_id: &str,
) -> Result<()> {
    tx.execute(
        "UPDATE refunds SET status = 'PROCESSED', provider_refund_id = ?2, due_at = NULL,
             error = NULL, updated_at = ?3
         WHERE id = ?1",
        params![id, provider_refund_id, tx.now()],
    )?;
    Ok(())
}

pub(in crate::domain::payments) fn fail_refund(
    tx: &mut Tx<'_>,
    id: RefundId,
    why: &str,
) -> Result<()> {
    tx.execute(
        "UPDATE refunds SET status = 'FAILED', due_at = NULL, error = ?2, updated_at = ?3
         WHERE id = ?1 AND status = 'PENDING'",
        params![id, why, tx.now()],
    )?;
    Ok(())
}

/// Names a refund as the provider does; now its word is waited for.
pub(in crate::domain::payments) fn name_refund(
    tx: &mut Tx<'_>,
    id: RefundId,
    provider_refund_id: &str,
) -> Result<()> {
    tx.execute(
        "UPDATE refunds SET provider_refund_id = ?2, due_at = NULL, error = NULL, updated_at = ?3
         WHERE id = ?1",
        params![id, provider_refund_id, tx.now()],
    )?;
    Ok(())
}

pub(in crate::domain::payments) fn refunds_due(
    tx: &mut Tx<'_>,
    provider: &str,
    absurd: Timestamp,
    most: i64,
) -> Result<Vec<RefundDue>> {
    let sql =
        "SELECT r.id, r.order_id, coalesce(r.transaction_id, p.transaction_id), r.amount, r.tries,
             r.transaction_id
         FROM refunds r JOIN payments p ON p.order_id = r.order_id
         WHERE p.provider = ?1 AND r.due_at IS NOT NULL AND (r.due_at <= ?2 OR r.due_at > ?3)
         ORDER BY r.due_at, r.id LIMIT ?4";
    let args = params![provider, tx.now(), absurd, most];
    tx.all(Sql::from(sql).for_update("p, r"), args, |row| {
        Ok(RefundDue {
            refund: row.get(0)?,
            order: row.get(1)?,
            transaction_id: row.get(2)?,
            amount: row.get(3)?,
            tries: row.get::<i64>(4)? + 1,
            duplicate: row.get(5)?,
        })
    })
}

pub(in crate::domain::payments) fn claim_refund(
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

pub(in crate::domain::payments) fn put_off_refund(
    tx: &mut Tx<'_>,
    id: RefundId,
    next: Timestamp,
    why: &str,
) -> Result<()> {
    tx.execute(
        "UPDATE refunds SET due_at = ?2, error = ?3 WHERE id = ?1 AND due_at IS NOT NULL",
        params![id, next, why],
    )?;
    Ok(())
}

/// A refund that failed and that nobody has dealt with, with its cause.
pub(in crate::domain::payments) fn failed_refund(
    tx: &mut Tx<'_>,
    id: RefundId,
) -> Result<Option<(Named, RefundCause)>> {
    tx.one(
        "SELECT id, order_id, transaction_id, cause FROM refunds
         WHERE id = ?1 AND status = 'FAILED' AND resolved_at IS NULL",
        params![id],
        |row| {
            let text: &str = row.get(3)?;
            let cause = RefundCause::parse(text)
                .ok_or_else(|| Error::internal(format!("a stored refund's cause is `{text}`")))?;
            Ok((named(row)?, cause))
        },
    )
}

/// Takes a failed refund off the list for a person; from the command line no account is recorded.
pub(in crate::domain::payments) fn resolve_refund(
    tx: &mut Tx<'_>,
    id: RefundId,
    by: Option<UserId>,
    note: &str,
) -> Result<()> {
    tx.execute(
        "UPDATE refunds SET resolved_at = ?2, resolved_by = ?3, note = ?4
         WHERE id = ?1 AND status = 'FAILED' AND resolved_at IS NULL",
        params![id, tx.now(), by, note],
    )?;
    Ok(())
}

/// The failed refunds of a payment that nobody has dealt with, with their sums, the oldest first.
pub(in crate::domain::payments) fn failed_refunds(
    tx: &mut Tx<'_>,
    payment: &Payment,
) -> Result<Vec<(RefundId, Money)>> {
    tx.all(
        "SELECT id, amount FROM refunds
         WHERE order_id = ?1 AND coalesce(transaction_id, '') = ?2 AND status = 'FAILED'
             AND resolved_at IS NULL ORDER BY id",
        params![payment.order, payment.duplicate_id().unwrap_or_default()],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}
