//! SQL of payments.

use std::collections::HashMap;

use super::{events, refunds};
use crate::{
    core::{
        error::{Error, Result},
        id::OrderId,
        money::Money,
    },
    domain::payments::{Payment, PaymentStatus},
    infra::db::{Row, Sql, Tx, Value, params, placeholders},
};

const COLUMNS: &str = "id, order_id, provider, provider_order_id, status, amount, transaction_id";

pub(in crate::domain::payments) fn insert(tx: &mut Tx<'_>, payment: &Payment) -> Result<()> {
    tx.expect(
        "INSERT INTO payments (id, order_id, provider, provider_order_id, status, amount,
                               transaction_id, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, NULL, ?7, ?7)",
        params![
            payment.id,
            payment.order,
            &payment.provider,
            payment.provider_order_id.as_ref(),
            payment.status,
            payment.amount,
            tx.now()
        ],
        1,
        || Error::internal("a payment was not inserted"),
    )
}

pub(in crate::domain::payments) fn of_orders(
    tx: &mut Tx<'_>,
    orders: &[OrderId],
) -> Result<Vec<Payment>> {
    if orders.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT {COLUMNS} FROM payments WHERE order_id IN {}",
        placeholders(orders.len(), 1)
    );
    let ids: Vec<Value<'_>> = orders.iter().map(|id| Value::from(*id)).collect();
    let payments = tx.all(&sql, &ids, payment)?;
    with_refunds(tx, payments)
}

pub(in crate::domain::payments) fn lock_by_provider_order(
    tx: &mut Tx<'_>,
    id: &str,
) -> Result<Option<Payment>> {
    let sql = format!("SELECT {COLUMNS} FROM payments WHERE provider_order_id = ?1");
    let found = tx.one(Sql::from(&sql).for_update("payments"), params![id], payment)?;
    Ok(with_refunds(tx, found.into_iter().collect())?.pop())
}

pub(in crate::domain::payments) fn lock_payment(
    tx: &mut Tx<'_>,
    order: OrderId,
) -> Result<Option<Payment>> {
    let sql = format!("SELECT {COLUMNS} FROM payments WHERE order_id = ?1");
    let found = tx.one(
        Sql::from(&sql).for_update("payments"),
        params![order],
        payment,
    )?;
    Ok(with_refunds(tx, found.into_iter().collect())?.pop())
}

/// Loads the refunds of all the payments with one statement.
fn with_refunds(tx: &mut Tx<'_>, payments: Vec<Payment>) -> Result<Vec<Payment>> {
    // Only a captured payment has refunds.
    let orders: Vec<OrderId> = payments
        .iter()
        .filter(|payment| payment.transaction_id.is_some())
        .map(|payment| payment.order)
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
        id: row.get("id")?,
        order: row.get("order_id")?,
        provider: row.get("provider")?,
        provider_order_id: row.get("provider_order_id")?,
        status: row.get("status")?,
        amount: row.get("amount")?,
        refunded_amount: Money::ZERO,
        transaction_id: row.get("transaction_id")?,
        refunds: Vec::new(),
        is_duplicate: false,
    })
}

pub(in crate::domain::payments) fn transaction_is_known(tx: &mut Tx<'_>, id: &str) -> Result<bool> {
    let found = tx.one(
        "SELECT 1 FROM payments WHERE transaction_id = ?1",
        params![id],
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

pub(in crate::domain::payments) fn capture(
    tx: &mut Tx<'_>,
    order: OrderId,
    transaction: &str,
) -> Result<()> {
    let updated = tx.execute(
        "UPDATE payments SET status = 'CAPTURED', transaction_id = ?2, updated_at = ?3
         WHERE order_id = ?1 AND status IN ('CREATED', 'FAILED')",
        params![order, transaction, tx.now()],
    )?;
    if updated == 1 { Ok(()) } else { Err(changed()) }
}

pub(in crate::domain::payments) fn set_status(
    tx: &mut Tx<'_>,
    order: OrderId,
    from: PaymentStatus,
    to: PaymentStatus,
) -> Result<()> {
    let updated = tx.execute(
        "UPDATE payments SET status = ?3, updated_at = ?4 WHERE order_id = ?1 AND status = ?2",
        params![order, from, to, tx.now()],
    )?;
    if updated == 1 { Ok(()) } else { Err(changed()) }
}

/// The provider delivers the event again after a 503.
fn changed() -> Error {
    Error::unavailable("the payment has changed; send the event again")
}

/// Returns the order of a payment by the provider's id of the payment, and that id again if it is a duplicate.
pub(in crate::domain::payments) fn order_of_transaction(
    tx: &mut Tx<'_>,
    id: &str,
) -> Result<Option<(OrderId, Option<String>)>> {
    let own = tx.one(
        "SELECT order_id FROM payments WHERE transaction_id = ?1",
        params![id],
        |row| row.get("order_id"),
    )?;
    if let Some(order) = own {
        return Ok(Some((order, None)));
    }
    let order = events::order_of_duplicate(tx, id)?;
    Ok(order.map(|order| (order, Some(id.to_owned()))))
}

/// Sets the provider's id of an order, unless this provider has already given it one.
pub(in crate::domain::payments) fn set_provider_order_id(
    tx: &mut Tx<'_>,
    order: OrderId,
    provider: &str,
    provider_order_id: &str,
) -> Result<()> {
    tx.execute(
        "UPDATE payments SET provider = ?2, provider_order_id = ?3, updated_at = ?4
         WHERE order_id = ?1 AND (provider_order_id IS NULL OR provider <> ?2)
             AND status IN ('CREATED', 'FAILED')",
        params![order, provider, provider_order_id, tx.now()],
    )?;
    Ok(())
}
