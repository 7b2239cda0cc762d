//! SQL of the jobs that operators see.

use crate::{
    core::{
        error::Result,
        id::{OrderId, RefundId},
    },
    infra::{
        db::{Row, Tx, params},
        jobs::{BackgroundJob, JobState, MAX_LISTED},
    },
};

/// Returns the orders to create at the provider.
pub(in crate::domain::payments) fn order_jobs(tx: &mut Tx<'_>) -> Result<Vec<BackgroundJob>> {
    tx.all(
        "SELECT order_id, order_id, due_at, tries, error FROM payments
         WHERE due_at IS NOT NULL ORDER BY due_at LIMIT ?1",
        params![MAX_LISTED],
        |row| job(row, "make-payment-order", JobState::Waiting),
    )
}

/// Returns the refunds to send to the provider.
pub(in crate::domain::payments) fn refund_jobs(tx: &mut Tx<'_>) -> Result<Vec<BackgroundJob>> {
    tx.all(
        "SELECT id, order_id, due_at, tries, error FROM refunds
         WHERE due_at IS NOT NULL ORDER BY due_at, id LIMIT ?1",
        params![MAX_LISTED],
        |row| job(row, REFUND, JobState::Waiting),
    )
}

/// Returns the failed refunds that are not resolved, oldest first.
pub(in crate::domain::payments) fn dead_refund_jobs(tx: &mut Tx<'_>) -> Result<Vec<BackgroundJob>> {
    tx.all(
        "SELECT id, order_id, due_at, tries, error FROM refunds
         WHERE status = 'FAILED' AND resolved_at IS NULL ORDER BY updated_at, id LIMIT ?1",
        params![MAX_LISTED],
        |row| job(row, REFUND, JobState::Dead),
    )
}

const REFUND: &str = "send-refund";

fn job(row: &Row<'_>, kind: &'static str, state: JobState) -> Result<BackgroundJob> {
    let order: OrderId = row.get(1)?;
    Ok(BackgroundJob {
        id: row.get(0)?,
        kind,
        subject: order.to_string(),
        state,
        due_at: row.get(2)?,
        attempts: row.get(3)?,
        last_error: row.get(4)?,
    })
}

/// Makes a queued refund due now. Returns whether there is one.
pub(in crate::domain::payments) fn retry_refund_now(tx: &mut Tx<'_>, id: RefundId) -> Result<bool> {
    let changed = tx.execute(
        "UPDATE refunds SET due_at = ?2 WHERE id = ?1 AND due_at IS NOT NULL",
        params![id, tx.now()],
    )?;
    Ok(changed == 1)
}

/// Makes a queued order due now. Returns whether there is one.
pub(in crate::domain::payments) fn retry_order_now(tx: &mut Tx<'_>, id: OrderId) -> Result<bool> {
    let changed = tx.execute(
        "UPDATE payments SET due_at = ?2 WHERE order_id = ?1 AND due_at IS NOT NULL",
        params![id, tx.now()],
    )?;
    Ok(changed == 1)
}
