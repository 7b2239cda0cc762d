//! Orders as rows.

mod at_once;
mod verify;

use std::{collections::HashMap, fmt::Write};

use uuid::Uuid;

pub(super) use self::{
    at_once::place_at_once,
    verify::{Odd, astray, unpayable, without_items, wrong_totals},
};
use super::{Draft, Filters, Order, OrderItem, OrderNumber, Status};
use crate::{
    app::App,
    core::{
        clock::Timestamp,
        error::{Error, Result},
        id::{OrderId, UserId},
        money::{Money, Price, Quantity},
        pagination::{COUNTED_UP_TO, Page, PageRequest, Total},
    },
    domain::payments::{self, Payment},
    infra::db::{Row, Sql, Tx, Value, params, placeholders},
};

/// How often a number that is taken is drawn anew. Two of 2^40 rarely meet once.
const DRAWS: usize = 8;

/// Writes the order under a number that nobody has.
pub(super) fn insert(
    tx: &mut Tx<'_>,
    draft: &Draft,
    user: UserId,
    total: Money,
) -> Result<OrderNumber> {
    let mut number = draft.number.clone();
    for _ in 0..DRAWS {
        let made = tx.execute(
            "INSERT INTO orders (id, number, user_id, status, total, created_at, updated_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6) ON CONFLICT (number) DO NOTHING",
            params![
                draft.id,
                number.as_stored(),
                user,
                Status::Pending.as_str(),
                total,
                tx.now()
            ],
        )?;
        if made == 1 {
            return Ok(number);
        }
        number = OrderNumber::random(tx.rng());
    }
    Err(Error::internal("no free order number was drawn"))
}

/// Writes the lines of an order, all in one statement.
pub(super) fn insert_items(tx: &mut Tx<'_>, order: OrderId, items: &[OrderItem]) -> Result<()> {
    let mut values: Vec<Value<'_>> = Vec::with_capacity(items.len() * 5);
    for item in items {
        values.extend([
            order.into(),
            item.product_id.into(),
            Value::from(&item.name),
            item.price.into(),
            item.quantity.into(),
        ]);
    }
    let sql = format!(
        "INSERT INTO order_items (order_id, product_id, name, price, quantity) VALUES {}",
        placeholders(5, items.len())
    );
    tx.execute(&sql, &values)?;
    Ok(())
}

pub(super) fn set_status(tx: &mut Tx<'_>, id: OrderId, from: Status, to: Status) -> Result<()> {
    let moved = tx.execute(
        "UPDATE orders SET status = ?3, updated_at = ?4 WHERE id = ?1 AND status = ?2",
        params![id, from.as_str(), to.as_str(), tx.now()],
    )?;
    if moved == 1 {
        Ok(())
    } else {
        Err(Error::conflict(
            "illegal-transition",
            "the order was changed meanwhile; read it again",
        ))
    }
}

/// Up to `most` orders placed before then that still wait for their money, the oldest first.
pub(super) fn unpaid_before(tx: &mut Tx<'_>, moment: Timestamp, most: i64) -> Result<Vec<OrderId>> {
    tx.all(
        "SELECT id FROM orders WHERE status = 'PENDING' AND id < ?1 ORDER BY id LIMIT ?2",
        params![Value::Id(first_id(moment)), most],
        |row| row.get(0),
    )
}

pub(super) fn id_by_number(tx: &mut Tx<'_>, number: &OrderNumber) -> Result<Option<OrderId>> {
    tx.one(
        "SELECT id FROM orders WHERE number = ?1",
        params![number.as_stored()],
        |row| row.get(0),
    )
}

/// An order's own row, before its lines and payment are joined to it.
struct Head {
    id: OrderId,
    number: OrderNumber,
    user: UserId,
    status: Status,
    total: Money,
    created_at: Timestamp,
    updated_at: Timestamp,
}

const COLUMNS: &str = "id, number, user_id, status, total, created_at, updated_at FROM orders";

fn head(row: &Row<'_>) -> Result<Head> {
    let status: &str = row.get(3)?;
    Ok(Head {
        id: row.get(0)?,
        number: OrderNumber::stored(row.get(1)?),
        user: row.get(2)?,
        status: Status::parse(status)
            .ok_or_else(|| Error::internal(format!("a stored order is `{status}`")))?,
        total: row.get(4)?,
        created_at: row.get(5)?,
        updated_at: row.get(6)?,
    })
}

pub(super) fn by_id(tx: &mut Tx<'_>, app: &App, id: OrderId) -> Result<Option<Order>> {
    let sql = format!("SELECT {COLUMNS} WHERE id = ?1");
    let head = tx.one(Sql::from(&sql).for_update("orders"), params![id], head)?;
    Ok(whole(tx, app, head.into_iter().collect())?.pop())
}

/// What the filters say, as a condition with its values.
fn narrowed(filters: &Filters) -> (String, Vec<Value<'static>>) {
    let mut clause = String::from(" WHERE 1 = 1");
    let mut args: Vec<Value<'static>> = Vec::new();
    let mut narrow = |condition: &str, value: Value<'static>| {
        args.push(value);
        // Writing into a `String` cannot fail.
        let _ = write!(clause, " AND {condition} ?{}", args.len());
    };
    if let Some(user) = filters.user {
        narrow("user_id =", Value::from(user));
    }
    if let Some(status) = filters.status {
        narrow("status =", Value::Text(status.as_str()));
    }
    if let Some(from) = filters.from {
        narrow("id >=", Value::Id(first_id(from)));
    }
    if let Some(to) = filters.to {
        narrow("id <", Value::Id(first_id(to)));
    }
    (clause, args)
}

/// One page of orders, newest first.
pub(super) fn page(
    tx: &mut Tx<'_>,
    app: &App,
    filters: &Filters,
    page: PageRequest,
) -> Result<Page<Order>> {
    let (clause, mut args) = narrowed(filters);
    let sql = format!(
        "SELECT count(*) FROM (SELECT 1 FROM orders{clause} LIMIT {}) AS counted",
        COUNTED_UP_TO + 1
    );
    let total = Total::counted(tx.one(&sql, &args, |row| row.get(0))?.unwrap_or_default());
    let next = args.len() + 1;
    let sql = format!(
        "SELECT {COLUMNS}{clause} ORDER BY id DESC LIMIT ?{next} OFFSET ?{}",
        next + 1
    );
    args.push(Value::Int(page.limit));
    args.push(Value::Int(page.offset()));
    let heads = tx.all(&sql, &args, head)?;
    Ok(Page::new(page, whole(tx, app, heads)?, total))
}

/// Up to so many orders, newest first, from the one behind `after` on.
pub(super) fn behind(
    tx: &mut Tx<'_>,
    app: &App,
    filters: &Filters,
    after: Option<OrderId>,
    limit: i64,
) -> Result<Vec<Order>> {
    let (mut clause, mut args) = narrowed(filters);
    if let Some(after) = after {
        args.push(Value::from(after));
        // Writing into a `String` cannot fail.
        let _ = write!(clause, " AND id < ?{}", args.len());
    }
    args.push(Value::Int(limit));
    let sql = format!(
        "SELECT {COLUMNS}{clause} ORDER BY id DESC LIMIT ?{}",
        args.len()
    );
    let heads = tx.all(&sql, &args, head)?;
    whole(tx, app, heads)
}

/// The least id of that moment: ids begin with the milliseconds of `created_at` (RFC 9562).
pub(super) fn first_id(moment: Timestamp) -> Uuid {
    Uuid::from_u128(u128::from(moment.0.max(0).unsigned_abs()) << 80)
}

/// Joins lines and payments to the orders, with one statement for all of each.
fn whole(tx: &mut Tx<'_>, app: &App, heads: Vec<Head>) -> Result<Vec<Order>> {
    if heads.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<OrderId> = heads.iter().map(|head| head.id).collect();
    let mut payments: HashMap<OrderId, Payment> = payments::of_orders(tx, &ids)?
        .into_iter()
        .map(|payment| (payment.order, payment))
        .collect();
    let mut items: HashMap<OrderId, Vec<OrderItem>> = HashMap::new();
    let sql = format!(
        "SELECT order_id, product_id, name, price, quantity FROM order_items
         WHERE order_id IN {} ORDER BY order_id, product_id",
        placeholders(ids.len(), 1)
    );
    let values: Vec<Value<'_>> = ids.iter().map(|id| Value::from(*id)).collect();
    tx.each(&sql, &values, |row| {
        let (price, quantity): (Price, Quantity) = (row.get(3)?, row.get(4)?);
        items.entry(row.get(0)?).or_default().push(OrderItem {
            product_id: row.get(1)?,
            name: row.get(2)?,
            price,
            quantity,
            line_total: price.times(quantity)?,
        });
        Ok(())
    })?;
    heads
        .into_iter()
        .map(|head| {
            Ok(Order {
                items: items.remove(&head.id).unwrap_or_default(),
                payment: payments
                    .remove(&head.id)
                    .ok_or_else(|| Error::internal(format!("order {} has no payment", head.id)))?,
                id: head.id,
                number: head.number,
                user_id: head.user,
                status: head.status,
                total_amount: head.total,
                currency: app.config.currency.code(),
                created_at: head.created_at,
                updated_at: head.updated_at,
            })
        })
        .collect()
}
