//! Lists of payments and of what fits none, and what the shop knows to compare with the provider.

use super::status;
use crate::{
    args,
    db::Tx,
    error::Result,
    id::OrderId,
    money::Money,
    page::{Page, PageRequest, Total},
    payments::{
        LedgerEntry, PaymentStatus,
        event::{UNMATCHED, UNREADABLE},
    },
};

/// Every outcome that begins with the word lies between these, by the order of texts.
const UNMATCHED_TEXTS: (&str, &str) = (UNMATCHED, "unmatched;");

/// What a person must see: what fits no payment, and what was signed and could not be read.
const FOR_A_PERSON: &str = "((outcome >= ?1 AND outcome < ?2) OR outcome = ?3)";

pub(in crate::payments) fn list(
    tx: &mut Tx<'_>,
    only: Option<PaymentStatus>,
    page: PageRequest,
) -> Result<Page<LedgerEntry>> {
    let only = only.map(PaymentStatus::as_str);
    let total = tx.one(
        "SELECT count(*) FROM payments WHERE CAST(?1 AS TEXT) IS NULL OR status = ?1",
        args![only],
        |row| row.get(0),
    )?;
    let entries = tx.all(
        "SELECT p.id, p.status, p.order_id, p.transaction_id, p.amount, p.created_at,
             (SELECT CAST(coalesce(sum(r.amount), 0) AS BIGINT) FROM refunds r
              WHERE r.order_id = p.order_id AND r.status <> 'FAILED'),
             (SELECT max(r.status) FROM refunds r
              WHERE r.order_id = p.order_id AND r.cause = 'late')
         FROM payments p
         WHERE CAST(?1 AS TEXT) IS NULL OR p.status = ?1
         ORDER BY p.created_at DESC, p.id DESC LIMIT ?2 OFFSET ?3",
        args![only, page.limit, page.offset()],
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
            })
        },
    )?;
    Ok(Page::new(
        page,
        entries,
        Total::exact(total.unwrap_or_default()),
    ))
}

pub(in crate::payments) fn unmatched(
    tx: &mut Tx<'_>,
    page: PageRequest,
) -> Result<Page<LedgerEntry>> {
    let (from, to) = UNMATCHED_TEXTS;
    let total = tx.one(
        &format!("SELECT count(*) FROM payment_events WHERE {FOR_A_PERSON}"),
        args![from, to, UNREADABLE],
        |row| row.get(0),
    )?;
    let entries = tx.all(
        &format!(
            "SELECT id, order_id, provider_payment_id, amount, outcome, received_at
             FROM payment_events WHERE {FOR_A_PERSON}
             ORDER BY received_at DESC, id DESC LIMIT ?4 OFFSET ?5"
        ),
        args![from, to, UNREADABLE, page.limit, page.offset()],
        |row| {
            let outcome: String = row.get(4)?;
            Ok(LedgerEntry {
                id: row.get(0)?,
                status: "unmatched".to_owned(),
                order_id: row.get(1)?,
                transaction_id: row.get(2)?,
                amount: row.get(3)?,
                refunded_amount: Money::ZERO,
                reason: Some(match outcome.strip_prefix(UNMATCHED) {
                    Some(reason) => reason.to_owned(),
                    None => "signed, but the body could not be read".to_owned(),
                }),
                created_at: row.get(5)?,
            })
        },
    )?;
    Ok(Page::new(
        page,
        entries,
        Total::exact(total.unwrap_or_default()),
    ))
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

pub(in crate::payments) fn to_compare(
    tx: &mut Tx<'_>,
    provider: &str,
    since: OrderId,
    after: OrderId,
    most: i64,
) -> Result<Vec<Recorded>> {
    tx.all(
        "SELECT p.order_id, p.provider_order_id, p.status, p.transaction_id,
             (SELECT CAST(coalesce(sum(r.amount), 0) AS BIGINT) FROM refunds r
              WHERE r.order_id = p.order_id AND r.status = 'PROCESSED')
         FROM payments p
         WHERE p.order_id > ?1 AND p.provider = ?2 AND p.provider_order_id IS NOT NULL
             AND (p.order_id >= ?3 OR EXISTS (
                 SELECT 1 FROM refunds r WHERE r.order_id = p.order_id AND r.status = 'PENDING'))
         ORDER BY p.order_id LIMIT ?4",
        args![after, provider, since, most],
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

/// Sums over the record, in the currency's minor unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Totals {
    pub captured: Money,
    /// What went back for certain.
    pub refunded: Money,
    /// Money that fits no order, each payment of the provider counted once.
    pub unmatched: Money,
}

pub(in crate::payments) fn totals(tx: &mut Tx<'_>) -> Result<Totals> {
    let (from, to) = UNMATCHED_TEXTS;
    let totals = tx.one(
        "SELECT
             (SELECT CAST(coalesce(sum(amount), 0) AS BIGINT) FROM payment_events
              WHERE outcome = 'captured'),
             (SELECT CAST(coalesce(sum(amount), 0) AS BIGINT) FROM refunds
              WHERE status = 'PROCESSED'),
             (SELECT CAST(coalesce(sum(m.amount), 0) AS BIGINT) FROM (
                  SELECT max(e.amount) AS amount FROM payment_events e
                  WHERE e.outcome >= ?1 AND e.outcome < ?2 AND e.amount BETWEEN 1 AND ?3
                      AND e.event IN ('payment.captured', 'order.paid')
                      AND NOT EXISTS (
                          SELECT 1 FROM payment_events c
                          WHERE c.provider_payment_id = e.provider_payment_id
                              AND c.outcome = 'captured')
                  GROUP BY e.provider_payment_id) AS m)",
        args![from, to, Money::MOST],
        |row| {
            Ok(Totals {
                captured: row.get(0)?,
                refunded: row.get(1)?,
                unmatched: row.get(2)?,
            })
        },
    )?;
    totals.ok_or_else(|| crate::error::Error::internal("sums without a row"))
}
