//! Payments as rows; their refunds, the provider's events and the lists beside.

mod events;
mod jobs;
mod lists;
mod refunds;
mod verify;

use std::collections::HashMap;

pub use self::lists::{Recorded, Totals};
pub(super) use self::{
    events::{
        EventRow, event_is_known, events_of_order, events_of_payment, insert_event, is_duplicate,
        is_seen, judge_event, refunds_elsewhere, resolve_duplicate, resolve_event,
        set_duplicate_refunded, settle_captures, unmatched_capture,
    },
    jobs::{dead_refunds, orders_to_make, refunds_to_send, retry_order, retry_refund},
    lists::{event, is_payment, list, to_compare, totals, unmatched},
    refunds::{
        claim_refund, fail_refund, failed_refund, failed_refunds, insert_refund, name_refund,
        nameless_refund, of_duplicate, process_refund, put_off_refund, refund_by_name, refunds_due,
        resolve_refund,
    },
    verify::{Unproven, misnamed, overdrawn, unproven, unrefunded_duplicates},
};
use super::{OrderDue, Payment, PaymentStatus};
use crate::{
    core::{
        clock::Timestamp,
        error::{Error, Result},
        id::OrderId,
        money::Money,
    },
    infra::db::{Row, Sql, Tx, Value, params, placeholders},
};

const COLUMNS: &str =
    "id, order_id, provider, provider_order_id, status, amount, transaction_id FROM payments";

pub(super) fn insert(tx: &mut Tx<'_>, payment: &Payment) -> Result<()> {
    tx.execute(
        "INSERT INTO payments (id, order_id, provider, provider_order_id, status, amount,
                               transaction_id, created_at, updated_at, due_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, NULL, ?7, ?7, ?8)",
        params![
            payment.id,
            payment.order,
            &payment.provider,
            payment.provider_order_id.as_ref(),
            payment.status.as_str(),
            payment.amount,
            tx.now(),
            payment.provider_order_id.is_none().then(|| tx.now())
        ],
    )?;
    Ok(())
}

pub(super) fn of_orders(tx: &mut Tx<'_>, orders: &[OrderId]) -> Result<Vec<Payment>> {
    if orders.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT {COLUMNS} WHERE order_id IN {}",
        placeholders(orders.len(), 1)
    );
    let ids: Vec<Value<'_>> = orders.iter().map(|id| Value::from(*id)).collect();
    let payments = tx.all(&sql, &ids, payment)?;
    whole(tx, payments)
}

pub(super) fn by_provider_order(tx: &mut Tx<'_>, id: &str) -> Result<Option<Payment>> {
    let sql = format!("SELECT {COLUMNS} WHERE provider_order_id = ?1");
    let found = tx.one(Sql::from(&sql).for_update("payments"), params![id], payment)?;
    Ok(whole(tx, found.into_iter().collect())?.pop())
}

/// The payment of an order, kept for this transaction.
pub(super) fn hold(tx: &mut Tx<'_>, order: OrderId) -> Result<Option<Payment>> {
    let sql = format!("SELECT {COLUMNS} WHERE order_id = ?1");
    let found = tx.one(
        Sql::from(&sql).for_update("payments"),
        params![order],
        payment,
    )?;
    Ok(whole(tx, found.into_iter().collect())?.pop())
}

/// Joins the refunds, with one statement for all.
fn whole(tx: &mut Tx<'_>, payments: Vec<Payment>) -> Result<Vec<Payment>> {
    let is_captured = |payment: &&Payment| payment.transaction_id.is_some();
    let orders: Vec<OrderId> = payments
        .iter()
        .filter(is_captured)
        .map(|it| it.order)
        .collect();
    let mut refunds = HashMap::new();
    refunds::of_orders(tx, &orders, &mut refunds)?;
    payments
        .into_iter()
        .map(|payment| {
            let refunds: Vec<_> = refunds.remove(&payment.order).unwrap_or_default();
            let refunded_amount = refunds::sum(&refunds)?;
            Ok(Payment {
                refunded_amount,
                refunds,
                ..payment
            })
        })
        .collect()
}

fn payment(row: &Row<'_>) -> Result<Payment> {
    Ok(Payment {
        id: row.get(0)?,
        order: row.get(1)?,
        provider: row.get(2)?,
        provider_order_id: row.get(3)?,
        status: status(row.get(4)?)?,
        amount: row.get(5)?,
        refunded_amount: Money::ZERO,
        transaction_id: row.get(6)?,
        refunds: Vec::new(),
        is_duplicate: false,
    })
}

fn status(text: &str) -> Result<PaymentStatus> {
    PaymentStatus::parse(text)
        .ok_or_else(|| Error::internal(format!("a stored payment is `{text}`")))
}

pub(super) fn transaction_is_known(tx: &mut Tx<'_>, id: &str) -> Result<bool> {
    let found = tx.one(
        "SELECT 1 FROM payments WHERE transaction_id = ?1",
        params![id],
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

pub(super) fn capture(tx: &mut Tx<'_>, order: OrderId, transaction: &str) -> Result<()> {
    let captured = tx.execute(
        "UPDATE payments SET status = 'CAPTURED', transaction_id = ?2, updated_at = ?3
         WHERE order_id = ?1 AND status IN ('CREATED', 'FAILED')",
        params![order, transaction, tx.now()],
    )?;
    if captured == 1 { Ok(()) } else { Err(moved()) }
}

pub(super) fn set_status(
    tx: &mut Tx<'_>,
    order: OrderId,
    from: PaymentStatus,
    to: PaymentStatus,
) -> Result<()> {
    let changed = tx.execute(
        "UPDATE payments SET status = ?3, updated_at = ?4 WHERE order_id = ?1 AND status = ?2",
        params![order, from.as_str(), to.as_str(), tx.now()],
    )?;
    if changed == 1 { Ok(()) } else { Err(moved()) }
}

/// The provider delivers again after a 503, so that nothing is lost by it.
fn moved() -> Error {
    Error::unavailable("the payment was changed meanwhile; send the event again")
}

/// The order that a payment of the provider was for; with the payment's id where the order was paid before
/// and it is not the order's own.
pub(super) fn order_of_transaction(
    tx: &mut Tx<'_>,
    id: &str,
) -> Result<Option<(OrderId, Option<String>)>> {
    let own = tx.one(
        "SELECT order_id FROM payments WHERE transaction_id = ?1",
        params![id],
        |row| row.get(0),
    )?;
    if let Some(order) = own {
        return Ok(Some((order, None)));
    }
    let order = events::order_of_duplicate(tx, id)?;
    Ok(order.map(|order| (order, Some(id.to_owned()))))
}

/// Names an order as the provider does, unless that provider has named it already.
pub(super) fn name_order(
    tx: &mut Tx<'_>,
    order: OrderId,
    provider: &str,
    provider_order_id: &str,
) -> Result<()> {
    tx.execute(
        "UPDATE payments SET provider = ?2, provider_order_id = ?3, due_at = NULL, error = NULL,
             updated_at = ?4
         WHERE order_id = ?1 AND (provider_order_id IS NULL OR provider <> ?2)
             AND status IN ('CREATED', 'FAILED')",
        params![order, provider, provider_order_id, tx.now()],
    )?;
    Ok(())
}

/// Whether an order is to be made or a refund to be sent now. A time past `absurd` comes from a clock
/// that was set back.
pub(super) fn is_any_due(tx: &mut Tx<'_>, provider: &str, absurd: Timestamp) -> Result<bool> {
    let found = tx.one(
        "SELECT 1 FROM payments
         WHERE provider = ?1 AND due_at IS NOT NULL AND (due_at <= ?2 OR due_at > ?3)
         UNION ALL
         SELECT 1 FROM refunds r JOIN payments p ON p.order_id = r.order_id
         WHERE p.provider = ?1 AND r.due_at IS NOT NULL AND (r.due_at <= ?2 OR r.due_at > ?3)
         LIMIT 1",
        params![provider, tx.now(), absurd],
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

pub(super) fn orders_due(
    tx: &mut Tx<'_>,
    provider: &str,
    absurd: Timestamp,
    most: i64,
) -> Result<Vec<OrderDue>> {
    let sql = "SELECT order_id, amount, tries FROM payments
         WHERE provider = ?1 AND due_at IS NOT NULL AND (due_at <= ?2 OR due_at > ?3)
         ORDER BY due_at LIMIT ?4";
    let args = params![provider, tx.now(), absurd, most];
    tx.all(Sql::from(sql).for_update("payments"), args, |row| {
        Ok(OrderDue {
            order: row.get(0)?,
            amount: row.get(1)?,
            tries: row.get::<i64>(2)? + 1,
        })
    })
}

pub(super) fn claim_order(tx: &mut Tx<'_>, order: OrderId, until: Timestamp) -> Result<()> {
    tx.execute(
        "UPDATE payments SET due_at = ?2, tries = tries + 1 WHERE order_id = ?1",
        params![order, until],
    )?;
    Ok(())
}

/// None: it is not to be made any more.
pub(super) fn put_off_order(
    tx: &mut Tx<'_>,
    order: OrderId,
    next: Option<Timestamp>,
    why: Option<&str>,
) -> Result<()> {
    tx.execute(
        "UPDATE payments SET due_at = ?2, error = ?3 WHERE order_id = ?1 AND due_at IS NOT NULL",
        params![order, next, why],
    )?;
    Ok(())
}
