//! The rows of orders held against those of their lines and payments.

use crate::{
    core::{error::Result, finding::ASKED, id::OrderId},
    domain::orders::OrderNumber,
    infra::db::{Column, Row, Tx, params},
};

/// An order, and two values that do not go together.
pub(in crate::domain::orders) struct Odd<A, B> {
    pub(in crate::domain::orders) id: OrderId,
    pub(in crate::domain::orders) number: OrderNumber,
    pub(in crate::domain::orders) one: A,
    pub(in crate::domain::orders) other: B,
}

/// Orders without a line, with their total.
pub(in crate::domain::orders) fn without_items(tx: &mut Tx<'_>) -> Result<Vec<Odd<i64, i64>>> {
    odd(
        tx,
        "SELECT o.id, o.number, o.total, 0 FROM orders o
         WHERE NOT EXISTS (SELECT 1 FROM order_items i WHERE i.order_id = o.id)
         ORDER BY o.id LIMIT ?1",
    )
}

/// Orders whose total is not the sum of their lines, with both.
pub(in crate::domain::orders) fn wrong_totals(tx: &mut Tx<'_>) -> Result<Vec<Odd<i64, i64>>> {
    odd(
        tx,
        "SELECT o.id, o.number, o.total, CAST(i.lines AS BIGINT)
         FROM orders o JOIN (
             SELECT order_id, sum(price * quantity) AS lines FROM order_items GROUP BY order_id
         ) i ON i.order_id = o.id
         WHERE o.total <> i.lines ORDER BY o.id LIMIT ?1",
    )
}

/// Orders without a payment of their total, with both amounts.
pub(in crate::domain::orders) fn unpayable(tx: &mut Tx<'_>) -> Result<Vec<Odd<i64, Option<i64>>>> {
    odd(
        tx,
        "SELECT o.id, o.number, o.total, p.amount
         FROM orders o LEFT JOIN payments p ON p.order_id = o.id
         WHERE p.amount IS NULL OR p.amount <> o.total ORDER BY o.id LIMIT ?1",
    )
}

/// Orders that do not stand where their payment says, with both statuses. A cancelled one may have
/// any: late money is captured, then given back.
pub(in crate::domain::orders) fn astray(tx: &mut Tx<'_>) -> Result<Vec<Odd<String, String>>> {
    odd(
        tx,
        "SELECT o.id, o.number, o.status, p.status
         FROM orders o JOIN payments p ON p.order_id = o.id
         WHERE p.status NOT IN ('CREATED', 'FAILED') AND o.status = 'PENDING'
             OR p.status <> 'CAPTURED' AND o.status IN ('PAID', 'SHIPPED', 'DELIVERED')
             OR p.status <> 'REFUNDED' AND o.status = 'REFUNDED'
         ORDER BY o.id LIMIT ?1",
    )
}

fn odd<A, B>(tx: &mut Tx<'_>, sql: &str) -> Result<Vec<Odd<A, B>>>
where
    A: for<'a> Column<'a>,
    B: for<'a> Column<'a>,
{
    tx.all(sql, params![ASKED], |row: &Row<'_>| {
        Ok(Odd {
            id: row.get(0)?,
            number: OrderNumber::stored(row.get(1)?),
            one: row.get(2)?,
            other: row.get(3)?,
        })
    })
}
