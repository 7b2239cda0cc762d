//! SQL of refunds.

use std::collections::HashMap;

use crate::{
    core::{
        error::Result,
        id::{OrderId, RefundId, UserId},
        money::Money,
    },
    domain::payments::{Payment, QueuedRefund, Refund, RefundCause, RefundStatus},
    infra::db::{Row, Tx, Value, params, placeholders},
};

/// The row of a refund, with what is needed to lock its payment.
pub(in crate::domain::payments) struct RefundRow {
    pub(in crate::domain::payments) refund: RefundId,
    pub(in crate::domain::payments) order: OrderId,
    /// The provider's id of the payment, if that is a duplicate.
    pub(in crate::domain::payments) transaction: Option<String>,
}

/// Inserts a refund.
pub(in crate::domain::payments) fn insert_refund(
    tx: &mut Tx<'_>,
    payment: &Payment,
    refund: &Refund,
    cause: RefundCause,
) -> Result<()> {
    tx.execute(
        "INSERT INTO refunds (id, order_id, amount, status, cause, restock, provider_refund_id,
                              transaction_id, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, NULL, ?8, ?7, ?7)",
        params![
            refund.id,
            payment.order,
            refund.amount,
            refund.status,
            cause,
            refund.restock,
            tx.now(),
            payment.duplicate_id()
        ],
    )?;
    Ok(())
}

/// Returns the refunds of a duplicate payment, oldest first.
pub(in crate::domain::payments) fn refunds_of_duplicate(
    tx: &mut Tx<'_>,
    transaction: &str,
) -> Result<Vec<Refund>> {
    tx.all(
        "SELECT order_id, id, amount, status, restock, failure_reason FROM refunds
         WHERE transaction_id = ?1 ORDER BY id",
        params![transaction],
        refund,
    )
}

/// Adds the refunds of the orders' own payments, oldest first.
pub(super) fn of_orders(
    tx: &mut Tx<'_>,
    orders: &[OrderId],
    refunds: &mut HashMap<OrderId, Vec<Refund>>,
) -> Result<()> {
    if orders.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "SELECT order_id, id, amount, status, restock, failure_reason FROM refunds
         WHERE order_id IN {} AND transaction_id IS NULL ORDER BY order_id, id",
        placeholders(orders.len(), 1)
    );
    let ids: Vec<Value<'_>> = orders.iter().map(|id| Value::from(*id)).collect();
    tx.each(&sql, &ids, |row| {
        refunds
            .entry(row.get("order_id")?)
            .or_default()
            .push(refund(row)?);
        Ok(())
    })
}

fn refund(row: &Row<'_>) -> Result<Refund> {
    Ok(Refund {
        id: row.get("id")?,
        amount: row.get("amount")?,
        status: row.get("status")?,
        restock: row.get("restock")?,
        failure_reason: row.get("failure_reason")?,
    })
}

/// Returns the sum of the refunds that are processed or pending.
pub(super) fn sum(refunds: &[Refund]) -> Result<Money> {
    let counted = refunds
        .iter()
        .filter(|refund| refund.status != RefundStatus::Failed);
    counted
        .map(|refund| refund.amount)
        .try_fold(Money::ZERO, Money::plus)
}

/// Returns the refund with the provider's id, or with the shop's own id if it has no provider id yet.
pub(in crate::domain::payments) fn refund_by_id(
    tx: &mut Tx<'_>,
    provider_refund_id: &str,
    own: Option<RefundId>,
) -> Result<Option<RefundRow>> {
    tx.one(
        "SELECT id, order_id, transaction_id FROM refunds WHERE provider_refund_id = ?1
         UNION ALL
         SELECT id, order_id, transaction_id FROM refunds
         WHERE id = ?2 AND provider_refund_id IS NULL",
        params![provider_refund_id, own],
        refund_row,
    )
}

fn refund_row(row: &Row<'_>) -> Result<RefundRow> {
    Ok(RefundRow {
        refund: row.get("id")?,
        order: row.get("order_id")?,
        transaction: row.get("transaction_id")?,
    })
}

/// Returns the pending refunds of that amount without a provider id, with their causes, oldest first.
pub(in crate::domain::payments) fn refunds_without_provider_id(
    tx: &mut Tx<'_>,
    payment: &Payment,
    amount: i64,
) -> Result<Vec<(RefundId, RefundCause)>> {
    tx.all(
        "SELECT id, cause FROM refunds WHERE order_id = ?1 AND coalesce(transaction_id, '') = ?3
             AND amount = ?2 AND status = 'PENDING' AND provider_refund_id IS NULL ORDER BY id",
        params![
            payment.order,
            amount,
            payment.duplicate_id().unwrap_or_default()
        ],
        |row| Ok((row.get("id")?, row.get("cause")?)),
    )
}

/// Returns the order of a refund.
pub(in crate::domain::payments) fn order_of_refund(
    tx: &mut Tx<'_>,
    id: RefundId,
) -> Result<Option<OrderId>> {
    tx.one(
        "SELECT order_id FROM refunds WHERE id = ?1",
        params![id],
        |row| row.get("order_id"),
    )
}

/// Returns a pending refund to send to the provider.
pub(in crate::domain::payments) fn queued_refund(
    tx: &mut Tx<'_>,
    id: RefundId,
) -> Result<Option<QueuedRefund>> {
    tx.one(
        "SELECT r.id, r.order_id, r.amount, r.transaction_id AS duplicate,
             coalesce(r.transaction_id, p.transaction_id) AS transaction_id
         FROM refunds r JOIN payments p ON p.order_id = r.order_id
         WHERE r.id = ?1 AND r.status = 'PENDING'",
        params![id],
        |row| {
            Ok(QueuedRefund {
                refund: row.get("id")?,
                order: row.get("order_id")?,
                amount: row.get("amount")?,
                duplicate: row.get("duplicate")?,
                transaction_id: row.get("transaction_id")?,
            })
        },
    )
}

pub(in crate::domain::payments) fn set_refund_processed(
    tx: &mut Tx<'_>,
    id: RefundId,
    provider_refund_id: &str,
) -> Result<()> {
    tx.execute(
        "UPDATE refunds SET status = 'PROCESSED', provider_refund_id = ?2, updated_at = ?3
         WHERE id = ?1",
        params![id, provider_refund_id, tx.now()],
    )?;
    Ok(())
}

pub(in crate::domain::payments) fn set_refund_failed(
    tx: &mut Tx<'_>,
    id: RefundId,
    reason: &str,
) -> Result<()> {
    tx.execute(
        "UPDATE refunds SET status = 'FAILED', failure_reason = ?3, updated_at = ?2
         WHERE id = ?1 AND status = 'PENDING'",
        params![id, tx.now(), reason],
    )?;
    Ok(())
}

/// Sets the provider's id of a refund whose result is not known yet.
pub(in crate::domain::payments) fn set_provider_refund_id(
    tx: &mut Tx<'_>,
    id: RefundId,
    provider_refund_id: &str,
) -> Result<()> {
    tx.execute(
        "UPDATE refunds SET provider_refund_id = ?2, updated_at = ?3 WHERE id = ?1",
        params![id, provider_refund_id, tx.now()],
    )?;
    Ok(())
}

/// Returns a failed refund that is not resolved, with its cause.
pub(in crate::domain::payments) fn failed_refund(
    tx: &mut Tx<'_>,
    id: RefundId,
) -> Result<Option<(RefundRow, RefundCause)>> {
    tx.one(
        "SELECT id, order_id, transaction_id, cause FROM refunds
         WHERE id = ?1 AND status = 'FAILED' AND resolved_at IS NULL",
        params![id],
        |row| Ok((refund_row(row)?, row.get("cause")?)),
    )
}

/// Resolves a failed refund. `by` is `None` on the command line.
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

/// Returns the failed refunds of a payment that are not resolved, with their amounts, oldest first.
pub(in crate::domain::payments) fn failed_refunds(
    tx: &mut Tx<'_>,
    payment: &Payment,
) -> Result<Vec<(RefundId, Money)>> {
    tx.all(
        "SELECT id, amount FROM refunds
         WHERE order_id = ?1 AND coalesce(transaction_id, '') = ?2 AND status = 'FAILED'
             AND resolved_at IS NULL ORDER BY id",
        params![payment.order, payment.duplicate_id().unwrap_or_default()],
        |row| Ok((row.get("id")?, row.get("amount")?)),
    )
}
