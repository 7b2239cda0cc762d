//! SQL of the ledger: lists, totals, and the payments to reconcile.

use uuid::Uuid;

use crate::{
    core::{
        clock::Timestamp,
        error::{Error, Result},
        id::OrderId,
        money::Money,
        pagination::{Page, PageRequest, Total},
    },
    domain::payments::{
        KnownPayment, LedgerEntry, Mismatch, Outcome, PaymentStatus, Resolution, Totals,
    },
    infra::db::{Row, Sql, Tx, Value, params},
};

/// Selects the events that need an admin: unmatched, or signed but unreadable.
const NEEDS_ADMIN: &str = "outcome IN ('unmatched', 'unreadable')";

/// The columns that [`unmatched_entry`] reads.
const EVENT_COLUMNS: &str = "id, order_id, provider_payment_id, amount, outcome, received_at,
    resolved_at, resolved_by, note, mismatch";

pub(in crate::domain::payments) fn list(
    tx: &mut Tx<'_>,
    status: Option<PaymentStatus>,
    page: PageRequest,
) -> Result<Page<LedgerEntry>> {
    let total = tx.one(
        "SELECT count(*) AS total FROM payments WHERE CAST(?1 AS TEXT) IS NULL OR status = ?1",
        params![status],
        |row| row.get("total"),
    )?;
    let entries = tx.all(
        "SELECT p.id, p.status, p.order_id, p.transaction_id, p.amount, p.created_at,
             (SELECT CAST(coalesce(sum(r.amount), 0) AS BIGINT) FROM refunds r
              WHERE r.order_id = p.order_id AND r.transaction_id IS NULL AND r.status <> 'FAILED')
                 AS refunded,
             (SELECT max(r.status) FROM refunds r
              WHERE r.order_id = p.order_id AND r.transaction_id IS NULL AND r.cause = 'late')
                 AS late_refund
         FROM payments p
         WHERE CAST(?1 AS TEXT) IS NULL OR p.status = ?1
         ORDER BY p.created_at DESC, p.id DESC LIMIT ?2 OFFSET ?3",
        params![status, page.limit, page.offset()],
        |row| {
            Ok(LedgerEntry {
                id: row.get("id")?,
                status: row.get::<PaymentStatus>("status")?.as_str().to_lowercase(),
                order_id: row.get("order_id")?,
                transaction_id: row.get("transaction_id")?,
                amount: row.get("amount")?,
                refunded_amount: row.get("refunded")?,
                reason: row
                    .get::<Option<String>>("late_refund")?
                    .map(|refund| late_reason(&refund)),
                created_at: row.get("created_at")?,
                resolution: None,
                mismatch: None,
            })
        },
    )?;
    Ok(Page::new(
        page,
        entries,
        Total::exact(total.unwrap_or_default()),
    ))
}

/// Returns the events that need an admin or, with `is_resolved`, those that were resolved.
pub(in crate::domain::payments) fn unmatched(
    tx: &mut Tx<'_>,
    is_resolved: bool,
    page: PageRequest,
) -> Result<Page<LedgerEntry>> {
    let condition = if is_resolved {
        "IS NOT NULL"
    } else {
        "IS NULL"
    };
    let selected = format!("{NEEDS_ADMIN} AND resolved_at {condition}");
    let total = count(tx, &selected)?;
    let entries = tx.all(
        &format!(
            "SELECT {EVENT_COLUMNS} FROM payment_events WHERE {selected}
             ORDER BY received_at DESC, id DESC LIMIT ?1 OFFSET ?2"
        ),
        params![page.limit, page.offset()],
        unmatched_entry,
    )?;
    Ok(Page::new(page, entries, Total::exact(total)))
}

/// Returns how many events wait for an admin.
pub(in crate::domain::payments) fn unmatched_count(tx: &mut Tx<'_>) -> Result<i64> {
    count(tx, &format!("{NEEDS_ADMIN} AND resolved_at IS NULL"))
}

fn count(tx: &mut Tx<'_>, condition: &str) -> Result<i64> {
    let total = tx.one(
        &format!("SELECT count(*) AS total FROM payment_events WHERE {condition}"),
        &[],
        |row| row.get("total"),
    )?;
    Ok(total.unwrap_or_default())
}

/// Locks an event and returns it with its outcome.
pub(in crate::domain::payments) fn lock_event(
    tx: &mut Tx<'_>,
    id: Uuid,
) -> Result<Option<(LedgerEntry, Outcome)>> {
    let sql = format!("SELECT {EVENT_COLUMNS} FROM payment_events WHERE id = ?1");
    tx.one(
        Sql::from(&sql).for_update("payment_events"),
        params![Value::Id(id)],
        |row| Ok((unmatched_entry(row)?, outcome(row)?)),
    )
}

/// Returns whether the payment of an order has that id.
pub(in crate::domain::payments) fn is_payment(tx: &mut Tx<'_>, id: Uuid) -> Result<bool> {
    let found = tx.one(
        "SELECT 1 FROM payments WHERE id = ?1",
        params![Value::Id(id)],
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

fn unmatched_entry(row: &Row<'_>) -> Result<LedgerEntry> {
    let resolved_at: Option<Timestamp> = row.get("resolved_at")?;
    let resolution = match resolved_at {
        Some(at) => Some(Resolution {
            at,
            by: row.get("resolved_by")?,
            note: row.get::<Option<String>>("note")?.unwrap_or_default(),
        }),
        None => None,
    };
    let status = if resolution.is_some() {
        "resolved"
    } else {
        "unmatched"
    };
    // An event keeps its mismatch when a later one changes its outcome.
    let mismatch: Option<Mismatch> = row.get("mismatch")?;
    let reason = match outcome(row)? {
        Outcome::Unreadable => Some("signed, but the body could not be read"),
        _ => mismatch.map(Mismatch::reason),
    };
    Ok(LedgerEntry {
        id: row.get("id")?,
        status: status.to_owned(),
        order_id: row.get("order_id")?,
        transaction_id: row.get("provider_payment_id")?,
        amount: row.get("amount")?,
        refunded_amount: Money::ZERO,
        reason: reason.map(str::to_owned),
        created_at: row.get("received_at")?,
        resolution,
        mismatch,
    })
}

fn outcome(row: &Row<'_>) -> Result<Outcome> {
    let text: &str = row.get("outcome")?;
    Outcome::parse(text, row.get("mismatch")?)
        .ok_or_else(|| Error::internal(format!("unknown outcome `{text}` in the database")))
}

/// Returns why a late payment is listed, given the status of its refund.
fn late_reason(refund: &str) -> String {
    let refund = refund.to_lowercase();
    format!("it arrived after the order was cancelled; its refund is {refund}")
}

pub(in crate::domain::payments) fn known_payments(
    tx: &mut Tx<'_>,
    provider: &str,
    since: OrderId,
    after: OrderId,
    limit: i64,
) -> Result<Vec<KnownPayment>> {
    tx.all(
        "SELECT p.order_id, p.provider_order_id, p.status, p.transaction_id,
             (SELECT CAST(coalesce(sum(r.amount), 0) AS BIGINT) FROM refunds r
              WHERE r.order_id = p.order_id AND r.transaction_id IS NULL
                  AND r.status = 'PROCESSED') AS refunded
         FROM payments p
         WHERE p.order_id > ?1 AND p.provider = ?2 AND p.provider_order_id IS NOT NULL
             AND (p.order_id >= ?3 OR EXISTS (
                 SELECT 1 FROM refunds r WHERE r.order_id = p.order_id AND r.status = 'PENDING'))
         ORDER BY p.order_id LIMIT ?4",
        params![after, provider, since, limit],
        |row| {
            Ok(KnownPayment {
                order: row.get("order_id")?,
                provider_order_id: row.get("provider_order_id")?,
                status: row.get("status")?,
                transaction_id: row.get("transaction_id")?,
                refunded: row.get("refunded")?,
            })
        },
    )
}

/// A sum of amounts can exceed the database's integers, so the quotients and the remainders of a division by this
/// number are summed separately.
const DIVISOR: i64 = 1_000_000;

pub(in crate::domain::payments) fn totals(tx: &mut Tx<'_>) -> Result<Totals> {
    let captured = "SELECT amount FROM payment_events WHERE outcome IN ('captured', 'duplicate')";
    let refunded = "SELECT amount FROM refunds WHERE status = 'PROCESSED'";
    let unmatched = "SELECT max(e.amount) AS amount FROM payment_events e
        WHERE e.outcome = 'unmatched' AND e.kind = 'payment_captured'
            AND e.amount BETWEEN 1 AND ?1 AND e.resolved_at IS NULL
            AND NOT EXISTS (
                SELECT 1 FROM payment_events c
                WHERE c.provider_payment_id = e.provider_payment_id
                    AND c.outcome IN ('captured', 'duplicate'))
        GROUP BY e.provider_payment_id";
    let (captured, captured_is_capped) = sum(tx, captured, &[])?;
    let (refunded, refunded_is_capped) = sum(tx, refunded, &[])?;
    let (unmatched, unmatched_is_capped) = sum(tx, unmatched, params![Money::MAX])?;
    Ok(Totals {
        captured,
        refunded,
        unmatched,
        totals_are_capped: captured_is_capped || refunded_is_capped || unmatched_is_capped,
    })
}

fn sum(tx: &mut Tx<'_>, amounts: &str, args: &[Value<'_>]) -> Result<(Money, bool)> {
    let sql = format!(
        "SELECT CAST(coalesce(sum(amount / {DIVISOR}), 0) AS BIGINT) AS high,
             CAST(coalesce(sum(amount % {DIVISOR}), 0) AS BIGINT) AS low
         FROM ({amounts}) AS amounts"
    );
    let sums: Option<(i64, i64)> =
        tx.one(&sql, args, |row| Ok((row.get("high")?, row.get("low")?)))?;
    let (high, low) = sums.unwrap_or_default();
    Ok(Money::capped(
        i128::from(high) * i128::from(DIVISOR) + i128::from(low),
    ))
}
