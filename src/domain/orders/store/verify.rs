//! Queries for orders that do not match their line items or payments.

use crate::{
    core::{error::Result, finding::FINDINGS_QUERY_LIMIT, id::OrderId},
    domain::orders::OrderNumber,
    infra::db::{Column, Row, Tx, params},
};

/// An order whose value differs from that of its line items or its payment.
pub(in crate::domain::orders) struct Mismatch<A, B> {
    pub(in crate::domain::orders) id: OrderId,
    pub(in crate::domain::orders) number: OrderNumber,
    pub(in crate::domain::orders) order_value: A,
    /// The value of its line items or its payment.
    pub(in crate::domain::orders) other_value: B,
}

/// Returns orders without line items, with their total.
pub(in crate::domain::orders) fn without_items(tx: &mut Tx<'_>) -> Result<Vec<Mismatch<i64, i64>>> {
    mismatches(
        tx,
        "SELECT o.id, o.number, o.total AS order_value, 0 AS other_value FROM orders o
         WHERE NOT EXISTS (SELECT 1 FROM order_lines i WHERE i.order_id = o.id)
         ORDER BY o.id LIMIT ?1",
    )
}

/// Returns orders whose total is not the sum of their line items, with both sums.
pub(in crate::domain::orders) fn wrong_totals(tx: &mut Tx<'_>) -> Result<Vec<Mismatch<i64, i64>>> {
    mismatches(
        tx,
        "SELECT o.id, o.number, o.total AS order_value, CAST(i.lines AS BIGINT) AS other_value
         FROM orders o JOIN (
             SELECT order_id, sum(price * quantity) AS lines FROM order_lines GROUP BY order_id
         ) i ON i.order_id = o.id
         WHERE o.total <> i.lines ORDER BY o.id LIMIT ?1",
    )
}

/// Returns orders without a payment of their total, with both amounts.
pub(in crate::domain::orders) fn payment_mismatched(
    tx: &mut Tx<'_>,
) -> Result<Vec<Mismatch<i64, Option<i64>>>> {
    mismatches(
        tx,
        "SELECT o.id, o.number, o.total AS order_value, p.amount AS other_value
         FROM orders o LEFT JOIN payments p ON p.order_id = o.id
         WHERE p.amount IS NULL OR p.amount <> o.total ORDER BY o.id LIMIT ?1",
    )
}

/// Returns orders whose status contradicts that of their payment, with both. A cancelled order may have any
/// payment: late money is captured, then refunded.
pub(in crate::domain::orders) fn status_mismatched(
    tx: &mut Tx<'_>,
) -> Result<Vec<Mismatch<String, String>>> {
    mismatches(
        tx,
        "SELECT o.id, o.number, o.status AS order_value, p.status AS other_value
         FROM orders o JOIN payments p ON p.order_id = o.id
         WHERE p.status NOT IN ('CREATED', 'FAILED') AND o.status = 'PENDING'
             OR p.status <> 'CAPTURED' AND o.status IN ('PAID', 'SHIPPED', 'DELIVERED')
             OR p.status <> 'REFUNDED' AND o.status = 'REFUNDED'
         ORDER BY o.id LIMIT ?1",
    )
}

/// Runs a query for the columns `id`, `number`, `order_value` and `other_value`.
fn mismatches<A, B>(tx: &mut Tx<'_>, sql: &str) -> Result<Vec<Mismatch<A, B>>>
where
    A: for<'a> Column<'a>,
    B: for<'a> Column<'a>,
{
    tx.all(sql, params![FINDINGS_QUERY_LIMIT], |row: &Row<'_>| {
        Ok(Mismatch {
            id: row.get("id")?,
            number: row.get("number")?,
            order_value: row.get("order_value")?,
            other_value: row.get("other_value")?,
        })
    })
}
