//! Lists of payments and of what fits none, and what the shop knows to compare with the provider.

use uuid::Uuid;

use super::status;
use crate::{
    core::{
        clock::Timestamp,
        error::Result,
        id::OrderId,
        money::Money,
        pagination::{Page, PageRequest, Total},
    },
    domain::payments::{
        LedgerEntry, PaymentStatus, Resolution,
        verdict::{CAPTURED, DUPLICATE, UNMATCHED, UNREADABLE},
    },
    infra::db::{Row, Sql, Tx, Value, params},
};

/// Every outcome that begins with the word lies between these, by the order of texts.
pub(super) const UNMATCHED_TEXTS: (&str, &str) = (UNMATCHED, "unmatched;");

/// What a person must see: what fits no payment, and what was signed and could not be read.
const FOR_A_PERSON: &str = "((outcome >= ?1 AND outcome < ?2) OR outcome = ?3)";

/// What [`unmatched_entry`] reads.
const EVENT: &str = "SELECT id, order_id, provider_payment_id, amount, outcome, received_at,
    resolved_at, resolved_by, note FROM payment_events";

pub(in crate::domain::payments) fn list(
    tx: &mut Tx<'_>,
    only: Option<PaymentStatus>,
    page: PageRequest,
) -> Result<Page<LedgerEntry>> {
    let only = only.map(PaymentStatus::as_str);
    let total = tx.one(
        "SELECT count(*) FROM payments WHERE CAST(?1 AS TEXT) IS NULL OR status = ?1",
        params![only],
        |row| row.get(0),
    )?;
    let entries = tx.all(
        "SELECT p.id, p.status, p.order_id, p.transaction_id, p.amount, p.created_at,
             (SELECT CAST(coalesce(sum(r.amount), 0) AS BIGINT) FROM refunds r
              WHERE r.order_id = p.order_id AND r.transaction_id IS NULL AND r.status <> 'FAILED'),
             (SELECT max(r.status) FROM refunds r
              WHERE r.order_id = p.order_id AND r.transaction_id IS NULL AND r.cause = 'late')
         FROM payments p
         WHERE CAST(?1 AS TEXT) IS NULL OR p.status = ?1
         ORDER BY p.created_at DESC, p.id DESC LIMIT ?2 OFFSET ?3",
        params![only, page.limit, page.offset()],
        |row| {
            Ok(LedgerEntry {
                id: row.get(0)?,
                status: status(row.get(1)?)?.as_str().to_lowercase(),
                order_id: row.get(2)?,
                transaction_id: row.get(3)?,
                amount: row.get(4)?,
                refunded_amount: row.get(6)?,
                reason: row.get::<Option<String>>(7)?.map(|refund| late(&refund)),
                created_at: row.get(5)?,
                resolution: None,
            })
        },
    )?;
    Ok(Page::new(
        page,
        entries,
        Total::exact(total.unwrap_or_default()),
    ))
}

/// What a person must see, or, with `is_resolved`, what was settled.
pub(in crate::domain::payments) fn unmatched(
    tx: &mut Tx<'_>,
    is_resolved: bool,
    page: PageRequest,
) -> Result<Page<LedgerEntry>> {
    let (from, to) = UNMATCHED_TEXTS;
    let state = if is_resolved {
        "IS NOT NULL"
    } else {
        "IS NULL"
    };
    let chosen = format!("{FOR_A_PERSON} AND resolved_at {state}");
    let total = tx.one(
        &format!("SELECT count(*) FROM payment_events WHERE {chosen}"),
        params![from, to, UNREADABLE],
        |row| row.get(0),
    )?;
    let entries = tx.all(
        &format!("{EVENT} WHERE {chosen} ORDER BY received_at DESC, id DESC LIMIT ?4 OFFSET ?5"),
        params![from, to, UNREADABLE, page.limit, page.offset()],
        unmatched_entry,
    )?;
    Ok(Page::new(
        page,
        entries,
        Total::exact(total.unwrap_or_default()),
    ))
}

/// An event that a person must see, or had to, with its outcome. The row is held.
pub(in crate::domain::payments) fn event(
    tx: &mut Tx<'_>,
    id: Uuid,
) -> Result<Option<(LedgerEntry, String)>> {
    let sql = format!("{EVENT} WHERE id = ?1");
    tx.one(
        Sql::from(&sql).for_update("payment_events"),
        params![Value::Id(id)],
        |row| Ok((unmatched_entry(row)?, row.get(4)?)),
    )
}

/// Whether a payment of an order has that id.
pub(in crate::domain::payments) fn is_payment(tx: &mut Tx<'_>, id: Uuid) -> Result<bool> {
    let found = tx.one(
        "SELECT 1 FROM payments WHERE id = ?1",
        params![Value::Id(id)],
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

fn unmatched_entry(row: &Row<'_>) -> Result<LedgerEntry> {
    let outcome: &str = row.get(4)?;
    let resolved_at: Option<Timestamp> = row.get(6)?;
    let resolution = match resolved_at {
        Some(at) => Some(Resolution {
            at,
            by: row.get(7)?,
            note: row.get::<Option<String>>(8)?.unwrap_or_default(),
        }),
        None => None,
    };
    let status = if resolution.is_some() {
        "resolved"
    } else {
        "unmatched"
    };
    Ok(LedgerEntry {
        id: row.get(0)?,
        status: status.to_owned(),
        order_id: row.get(1)?,
        transaction_id: row.get(2)?,
        amount: row.get(3)?,
        refunded_amount: Money::ZERO,
        reason: Some(match outcome.strip_prefix(UNMATCHED) {
            Some(reason) => reason.to_owned(),
            None => "signed, but the body could not be read".to_owned(),
        }),
        created_at: row.get(5)?,
        resolution,
    })
}

/// What a person must know of money that came late, given where its refund stands.
fn late(refund: &str) -> String {
    let refund = refund.to_lowercase();
    format!("it came after the order was cancelled; its refund is {refund}")
}

/// A payment as the shop knows it, to compare with what the provider does.
#[derive(Debug, Clone)]
pub struct Recorded {
    pub order: OrderId,
    pub provider_order_id: String,
    pub status: PaymentStatus,
    pub transaction_id: Option<String>,
    /// What went back for certain.
    pub refunded: Money,
}

pub(in crate::domain::payments) fn to_compare(
    tx: &mut Tx<'_>,
    provider: &str,
    since: OrderId,
    after: OrderId,
    most: i64,
) -> Result<Vec<Recorded>> {
    tx.all(
        "SELECT p.order_id, p.provider_order_id, p.status, p.transaction_id,
             (SELECT CAST(coalesce(sum(r.amount), 0) AS BIGINT) FROM refunds r
              WHERE r.order_id = p.order_id AND r.transaction_id IS NULL
                  AND r.status = 'PROCESSED')
         FROM payments p
         WHERE p.order_id > ?1 AND p.provider = ?2 AND p.provider_order_id IS NOT NULL
             AND (p.order_id >= ?3 OR EXISTS (
                 SELECT 1 FROM refunds r WHERE r.order_id = p.order_id AND r.status = 'PENDING'))
         ORDER BY p.order_id LIMIT ?4",
        params![after, provider, since, most],
        |row| {
            Ok(Recorded {
                order: row.get(0)?,
                provider_order_id: row.get(1)?,
                status: status(row.get(2)?)?,
                transaction_id: row.get(3)?,
                refunded: row.get(4)?,
            })
        },
    )
}

/// Sums over the record, in the currency's minor unit, each at most 2^53 − 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// What came for orders, more than once included.
    pub captured: Money,
    /// What went back for certain.
    pub refunded: Money,
    /// Money that fits no order and that nobody has dealt with, each payment of the provider counted once.
    pub unmatched: Money,
    /// Present and `true` where one of them is more than is shown.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub totals_are_capped: bool,
}

/// All amounts together may be more than a number of a database holds: they are summed in two parts.
const PART: i64 = 1_000_000;

pub(in crate::domain::payments) fn totals(tx: &mut Tx<'_>) -> Result<Totals> {
    let (from, to) = UNMATCHED_TEXTS;
    let captured = "SELECT amount FROM payment_events WHERE outcome IN (?1, ?2)";
    let refunded = "SELECT amount FROM refunds WHERE status = 'PROCESSED'";
    let unmatched = "SELECT max(e.amount) AS amount FROM payment_events e
        WHERE e.outcome >= ?1 AND e.outcome < ?2 AND e.amount BETWEEN 1 AND ?3
            AND e.event IN ('payment.captured', 'order.paid') AND e.resolved_at IS NULL
            AND NOT EXISTS (
                SELECT 1 FROM payment_events c
                WHERE c.provider_payment_id = e.provider_payment_id
                    AND c.outcome IN ('captured', 'duplicate'))
        GROUP BY e.provider_payment_id";
    let (captured, many) = sum(tx, captured, params![CAPTURED, DUPLICATE])?;
    let (refunded, more) = sum(tx, refunded, &[])?;
    let (unmatched, most) = sum(tx, unmatched, params![from, to, Money::MOST])?;
    Ok(Totals {
        captured,
        refunded,
        unmatched,
        totals_are_capped: many || more || most,
    })
}

fn sum(tx: &mut Tx<'_>, amounts: &str, args: &[Value<'_>]) -> Result<(Money, bool)> {
    let sql = format!(
        "SELECT CAST(coalesce(sum(amount / {PART}), 0) AS BIGINT),
             CAST(coalesce(sum(amount % {PART}), 0) AS BIGINT) FROM ({amounts}) AS amounts"
    );
    let parts: Option<(i64, i64)> = tx.one(&sql, args, |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (high, low) = parts.unwrap_or_default();
    Ok(Money::capped(
        i128::from(high) * i128::from(PART) + i128::from(low),
    ))
}
