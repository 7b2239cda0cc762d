//! SQL of orders and their line items.

mod verify;

use std::{collections::HashMap, fmt::Write};

pub(super) use self::verify::{
    Mismatch, payment_mismatched, status_mismatched, without_items, wrong_totals,
};
use super::{
    Filters, Order, OrderItem, OrderNumber, Status, first_id, order::item_id,
    problems::ILLEGAL_TRANSITION,
};
use crate::{
    core::{
        clock::Timestamp,
        error::{Error, Result},
        id::{OrderId, UserId},
        money::{Money, Price, Quantity},
        pagination::{COUNTED_UP_TO, Page, PageRequest, Total},
    },
    domain::{
        catalog::VariantOptions,
        payments::{self, Payment},
    },
    infra::db::{Prefetched, Row, Sql, Tx, Value, params, placeholders},
};

/// How many order numbers are tried. There are 2^40, so even one collision is rare.
const MAX_NUMBER_ATTEMPTS: usize = 8;

/// Generates a number that no order has.
pub(super) fn unused_number(tx: &mut Tx<'_>) -> Result<OrderNumber> {
    for _ in 0..MAX_NUMBER_ATTEMPTS {
        let number = OrderNumber::random(tx.rng());
        if id_by_number(tx, &number)?.is_none() {
            return Ok(number);
        }
    }
    Err(Error::internal("no unique order number was found"))
}

/// Inserts an order. If another transaction inserts its number at the same time, Postgres reports a unique
/// violation, and the operation runs again with another number.
pub(super) fn insert(tx: &mut Tx<'_>, order: &Order) -> Result<()> {
    tx.expect(
        "INSERT INTO orders (id, number, user_id, status, total, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)",
        params![
            order.id,
            &order.number,
            order.user_id,
            order.status,
            order.total_amount,
            order.created_at
        ],
        1,
        || Error::internal("an order was not inserted"),
    )
}

/// Inserts the line items of an order in one statement.
pub(super) fn insert_items(tx: &mut Tx<'_>, order: OrderId, items: &[OrderItem]) -> Result<()> {
    let options: Vec<String> = items
        .iter()
        .map(|item| item.options.to_json())
        .collect::<Result<_>>()?;
    let mut values: Vec<Value<'_>> = Vec::with_capacity(items.len() * 9);
    for ((item, options), position) in items.iter().zip(&options).zip(0..) {
        values.extend([
            order.into(),
            Value::Int(position),
            item.variant_id.into(),
            item.product_id.into(),
            item.sku.as_deref().into(),
            Value::from(&item.name),
            Value::from(options),
            item.price.into(),
            item.quantity.into(),
        ]);
    }
    let sql = format!(
        "INSERT INTO order_lines
             (order_id, position, variant_id, product_id, sku, name, options, price, quantity)
         VALUES {}",
        placeholders(9, items.len())
    );
    tx.expect(&sql, &values, items.len(), || {
        Error::internal("the line items of an order were not inserted")
    })
}

pub(super) fn set_status(tx: &mut Tx<'_>, id: OrderId, from: Status, to: Status) -> Result<()> {
    let updated = tx.execute(
        "UPDATE orders SET status = ?3, updated_at = ?4 WHERE id = ?1 AND status = ?2",
        params![id, from, to, tx.now()],
    )?;
    if updated == 1 {
        Ok(())
    } else {
        Err(ILLEGAL_TRANSITION.error("the order has changed; read it again"))
    }
}

/// Returns the number of orders by status. Statuses that no order has are missing.
pub(super) fn counts(tx: &mut Tx<'_>) -> Result<Vec<(Status, i64)>> {
    tx.all(
        "SELECT status, count(*) AS total FROM orders GROUP BY status",
        &[],
        |row| Ok((row.get("status")?, row.get("total")?)),
    )
}

/// Returns up to `limit` PENDING orders with ids below `before`, oldest first.
pub(super) fn unpaid_before(tx: &mut Tx<'_>, before: OrderId, limit: i64) -> Result<Vec<OrderId>> {
    tx.all(
        "SELECT id FROM orders WHERE status = 'PENDING' AND id < ?1 ORDER BY id LIMIT ?2",
        params![before, limit],
        |row| row.get("id"),
    )
}

pub(super) fn id_by_number(tx: &mut Tx<'_>, number: &OrderNumber) -> Result<Option<OrderId>> {
    let id = prefetch_id_by_number(tx, number)?;
    tx.result(id)
}

pub(super) fn prefetch_id_by_number(
    tx: &mut Tx<'_>,
    number: &OrderNumber,
) -> Result<Prefetched<Option<OrderId>>> {
    tx.prefetch_one(
        "SELECT id FROM orders WHERE number = ?1",
        params![number],
        |row| row.get("id"),
    )
}

/// The row of an order, without its line items and payment.
struct OrderRow {
    id: OrderId,
    number: OrderNumber,
    user: UserId,
    status: Status,
    total: Money,
    created_at: Timestamp,
    updated_at: Timestamp,
}

const COLUMNS: &str = "id, number, user_id, status, total, created_at, updated_at";

fn order_row(row: &Row<'_>) -> Result<OrderRow> {
    Ok(OrderRow {
        id: row.get("id")?,
        number: row.get("number")?,
        user: row.get("user_id")?,
        status: row.get("status")?,
        total: row.get("total")?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
    })
}

pub(super) fn by_id(tx: &mut Tx<'_>, id: OrderId) -> Result<Option<Order>> {
    let sql = format!("SELECT {COLUMNS} FROM orders WHERE id = ?1");
    let row = tx.one(Sql::from(&sql).for_update("orders"), params![id], order_row)?;
    Ok(with_children(tx, row.into_iter().collect())?.pop())
}

pub(super) fn status_of(tx: &mut Tx<'_>, id: OrderId) -> Result<Option<Status>> {
    tx.one(
        "SELECT status FROM orders WHERE id = ?1",
        params![id],
        |row| row.get("status"),
    )
}

/// Returns the filters as a WHERE clause with its parameters.
fn where_clause(filters: &Filters) -> (String, Vec<Value<'static>>) {
    let mut clause = String::from(" WHERE 1 = 1");
    let mut args: Vec<Value<'static>> = Vec::new();
    let mut add = |condition: &str, value: Value<'static>| {
        args.push(value);
        // Writing into a `String` cannot fail.
        let _ = write!(clause, " AND {condition} ?{}", args.len());
    };
    if let Some(user) = filters.user {
        add("user_id =", Value::from(user));
    }
    if let Some(status) = filters.status {
        add("status =", Value::from(status));
    }
    if let Some(from) = filters.from {
        add("id >=", Value::from(first_id(from)));
    }
    if let Some(to) = filters.to {
        add("id <", Value::from(first_id(to)));
    }
    (clause, args)
}

/// Returns one page of orders, newest first.
pub(super) fn page(tx: &mut Tx<'_>, filters: &Filters, page: PageRequest) -> Result<Page<Order>> {
    let (clause, mut args) = where_clause(filters);
    let sql = format!(
        "SELECT count(*) AS total FROM (SELECT 1 FROM orders{clause} LIMIT {}) AS counted",
        COUNTED_UP_TO + 1
    );
    let total = Total::counted(
        tx.one(&sql, &args, |row| row.get("total"))?
            .unwrap_or_default(),
    );
    let next = args.len() + 1;
    let sql = format!(
        "SELECT {COLUMNS} FROM orders{clause} ORDER BY id DESC LIMIT ?{next} OFFSET ?{}",
        next + 1
    );
    args.push(Value::Int(page.limit));
    args.push(Value::Int(page.offset()));
    let rows = tx.all(&sql, &args, order_row)?;
    Ok(Page::new(page, with_children(tx, rows)?, total))
}

/// Returns up to `limit` orders after `after`, newest first.
pub(super) fn after(
    tx: &mut Tx<'_>,
    filters: &Filters,
    after: Option<OrderId>,
    limit: i64,
) -> Result<Vec<Order>> {
    let (mut clause, mut args) = where_clause(filters);
    if let Some(after) = after {
        args.push(Value::from(after));
        // Writing into a `String` cannot fail.
        let _ = write!(clause, " AND id < ?{}", args.len());
    }
    args.push(Value::Int(limit));
    let sql = format!(
        "SELECT {COLUMNS} FROM orders{clause} ORDER BY id DESC LIMIT ?{}",
        args.len()
    );
    let rows = tx.all(&sql, &args, order_row)?;
    with_children(tx, rows)
}

/// Loads the line items and payments of the orders, with one statement for each of the two.
fn with_children(tx: &mut Tx<'_>, rows: Vec<OrderRow>) -> Result<Vec<Order>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let currency = tx.settings().currency.code();
    let ids: Vec<OrderId> = rows.iter().map(|row| row.id).collect();
    let mut payments: HashMap<OrderId, Payment> = payments::of_orders(tx, &ids)?
        .into_iter()
        .map(|payment| (payment.order, payment))
        .collect();
    let mut items: HashMap<OrderId, Vec<OrderItem>> = HashMap::new();
    let sql = format!(
        "SELECT order_id, variant_id, product_id, sku, name, options, price, quantity FROM order_lines
         WHERE order_id IN {} ORDER BY order_id, position",
        placeholders(ids.len(), 1)
    );
    let values: Vec<Value<'_>> = ids.iter().map(|id| Value::from(*id)).collect();
    tx.each(&sql, &values, |row| {
        let order: OrderId = row.get("order_id")?;
        let (price, quantity): (Price, Quantity) = (row.get("price")?, row.get("quantity")?);
        let options = VariantOptions::from_json(row.get("options")?)?;
        let items = items.entry(order).or_default();
        items.push(OrderItem {
            id: item_id(order, items.len()),
            variant_id: row.get("variant_id")?,
            product_id: row.get("product_id")?,
            sku: row.get("sku")?,
            title: options.title(),
            options,
            name: row.get("name")?,
            price,
            quantity,
            line_total: price.times(quantity)?,
        });
        Ok(())
    })?;
    rows.into_iter()
        .map(|order| {
            Ok(Order {
                items: items.remove(&order.id).unwrap_or_default(),
                payment: payments
                    .remove(&order.id)
                    .ok_or_else(|| Error::internal(format!("order {} has no payment", order.id)))?,
                id: order.id,
                number: order.number,
                user_id: order.user,
                status: order.status,
                total_amount: order.total,
                currency,
                created_at: order.created_at,
                updated_at: order.updated_at,
            })
        })
        .collect()
}
