//! Queries for payments that do not match their refunds or the provider's events.

use uuid::Uuid;

use super::events::DUPLICATE;
use crate::{
    core::{
        error::Result,
        finding::FINDINGS_QUERY_LIMIT,
        id::{OrderId, RefundId},
    },
    domain::payments::{CREATE_PROVIDER_ORDER, RefundStatus, SEND_REFUND},
    infra::{
        db::{Row, Tx, params},
        jobs::JobState,
    },
};

/// Returns payments whose refunds, processed or pending, exceed the captured amount, with both sums.
pub(in crate::domain::payments) fn over_refunded(
    tx: &mut Tx<'_>,
) -> Result<Vec<(OrderId, i64, i64)>> {
    tx.all(
        "SELECT p.order_id, CAST(r.refunded AS BIGINT) AS refunded,
             CASE WHEN p.status IN ('CAPTURED', 'REFUNDED') THEN p.amount ELSE 0 END AS captured
         FROM payments p JOIN (
             SELECT order_id, sum(amount) AS refunded FROM refunds
             WHERE status <> 'FAILED' AND transaction_id IS NULL GROUP BY order_id
         ) r ON r.order_id = p.order_id
         WHERE r.refunded >
             CASE WHEN p.status IN ('CAPTURED', 'REFUNDED') THEN p.amount ELSE 0 END
         ORDER BY p.order_id LIMIT ?1",
        params![FINDINGS_QUERY_LIMIT],
        |row| {
            Ok((
                row.get("order_id")?,
                row.get("refunded")?,
                row.get("captured")?,
            ))
        },
    )
}

/// A payment and the captures on record for it.
pub(in crate::domain::payments) struct CaptureMismatch {
    pub(in crate::domain::payments) order: OrderId,
    pub(in crate::domain::payments) status: String,
    pub(in crate::domain::payments) amount: i64,
    pub(in crate::domain::payments) transaction: Option<String>,
    /// The number of captures on record.
    pub(in crate::domain::payments) capture_count: i64,
    /// The amount of one of them.
    pub(in crate::domain::payments) captured_amount: Option<i64>,
    /// The transaction of one of them.
    pub(in crate::domain::payments) captured_transaction: Option<String>,
}

/// Returns captured payments without exactly one matching capture on record, and other payments that have one.
pub(in crate::domain::payments) fn captures_mismatched(
    tx: &mut Tx<'_>,
) -> Result<Vec<CaptureMismatch>> {
    tx.all(
        "SELECT p.order_id, p.status, p.amount, p.transaction_id,
             coalesce(e.captures, 0) AS capture_count, e.amount AS captured_amount,
             e.transaction_id AS captured_transaction
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
        params![FINDINGS_QUERY_LIMIT],
        |row| {
            Ok(CaptureMismatch {
                order: row.get("order_id")?,
                status: row.get("status")?,
                amount: row.get("amount")?,
                transaction: row.get("transaction_id")?,
                capture_count: row.get("capture_count")?,
                captured_amount: row.get("captured_amount")?,
                captured_transaction: row.get("captured_transaction")?,
            })
        },
    )
}

/// Returns payments that are REFUNDED but not refunded in full, or the reverse, with their status, their amount and
/// the sum of their processed refunds.
pub(in crate::domain::payments) fn refund_status_mismatched(
    tx: &mut Tx<'_>,
) -> Result<Vec<(OrderId, String, i64, i64)>> {
    tx.all(
        "SELECT p.order_id, p.status, p.amount,
             CAST(coalesce(r.refunded, 0) AS BIGINT) AS refunded
         FROM payments p LEFT JOIN (
             SELECT order_id, sum(amount) AS refunded FROM refunds
             WHERE status = 'PROCESSED' AND transaction_id IS NULL GROUP BY order_id
         ) r ON r.order_id = p.order_id
         WHERE CASE WHEN p.status = 'REFUNDED' THEN coalesce(r.refunded, 0) <> p.amount
             ELSE r.refunded = p.amount END
         ORDER BY p.order_id LIMIT ?1",
        params![FINDINGS_QUERY_LIMIT],
        |row| {
            Ok((
                row.get("order_id")?,
                row.get("status")?,
                row.get("amount")?,
                row.get("refunded")?,
            ))
        },
    )
}

/// Returns duplicate payments that contradict their refunds, processed or pending:
///
/// - the refunds do not sum to the amount of the payment;
/// - the payment is listed as unmatched although it is refunded in full;
/// - the refunds are of a duplicate payment that is not on record.
///
/// Each with the provider's id of the payment, its amount and the sum of the refunds.
pub(in crate::domain::payments) fn unrefunded_duplicates(
    tx: &mut Tx<'_>,
) -> Result<Vec<(OrderId, String, i64, i64)>> {
    tx.all(
        &format!(
            "SELECT coalesce(e.order_id, r.order_id) AS order_id,
                 coalesce(e.provider_payment_id, r.transaction_id) AS transaction_id,
                 coalesce(e.amount, 0) AS amount,
                 CAST(coalesce(r.refunded, 0) AS BIGINT) AS refunded
             FROM (SELECT order_id, provider_payment_id, amount, outcome FROM payment_events
                   WHERE {DUPLICATE} AND order_id IS NOT NULL) e
             FULL JOIN (SELECT order_id, transaction_id, sum(amount) AS refunded FROM refunds
                        WHERE status <> 'FAILED' AND transaction_id IS NOT NULL
                        GROUP BY order_id, transaction_id) r
                 ON r.transaction_id = e.provider_payment_id
             WHERE CASE WHEN e.outcome = 'duplicate' THEN coalesce(r.refunded, 0) <> e.amount
                 ELSE coalesce(r.refunded, 0) >= coalesce(e.amount, 0) END
             ORDER BY 1 LIMIT ?1"
        ),
        params![FINDINGS_QUERY_LIMIT],
        |row| {
            Ok((
                row.get("order_id")?,
                row.get("transaction_id")?,
                row.get("amount")?,
                row.get("refunded")?,
            ))
        },
    )
}

/// Returns pending refunds that were not sent and have no waiting job, and failed ones that are not resolved and
/// have no dead job.
pub(in crate::domain::payments) fn refunds_without_job(
    tx: &mut Tx<'_>,
) -> Result<Vec<(RefundId, RefundStatus)>> {
    tx.all(
        "SELECT r.id, r.status FROM refunds r
         LEFT JOIN jobs j ON j.subject_id = r.id AND j.kind = ?1
         WHERE r.status = 'PENDING' AND r.provider_refund_id IS NULL
                 AND coalesce(j.state, '') <> 'waiting'
             OR r.status = 'FAILED' AND r.resolved_at IS NULL AND coalesce(j.state, '') <> 'dead'
         ORDER BY r.id LIMIT ?2",
        params![SEND_REFUND, FINDINGS_QUERY_LIMIT],
        |row| Ok((row.get("id")?, row.get("status")?)),
    )
}

/// Returns the subjects of the jobs that send a refund that does not exist, with their states.
pub(in crate::domain::payments) fn jobs_without_refund(
    tx: &mut Tx<'_>,
) -> Result<Vec<(Uuid, JobState)>> {
    tx.all(
        "SELECT j.subject_id, j.state FROM jobs j LEFT JOIN refunds r ON r.id = j.subject_id
         WHERE j.kind = ?1 AND r.id IS NULL ORDER BY j.subject_id LIMIT ?2",
        params![SEND_REFUND, FINDINGS_QUERY_LIMIT],
        subject_and_state,
    )
}

/// Returns the subjects of the jobs that create an order that has no payment, with their states.
pub(in crate::domain::payments) fn jobs_without_payment(
    tx: &mut Tx<'_>,
) -> Result<Vec<(Uuid, JobState)>> {
    tx.all(
        "SELECT j.subject_id, j.state FROM jobs j
         LEFT JOIN payments p ON p.order_id = j.subject_id
         WHERE j.kind = ?1 AND p.order_id IS NULL ORDER BY j.subject_id LIMIT ?2",
        params![CREATE_PROVIDER_ORDER, FINDINGS_QUERY_LIMIT],
        subject_and_state,
    )
}

fn subject_and_state(row: &Row<'_>) -> Result<(Uuid, JobState)> {
    Ok((row.get("subject_id")?, row.get("state")?))
}
