//! Stock movements as rows.

use uuid::Uuid;

use crate::{
    core::{
        error::{Error, Result},
        id::ProductId,
    },
    domain::catalog::stock::{Cause, Movement, RecordedMovement},
    infra::db::{Row, Tx, Value, placeholders},
};

/// Derives the id of an order's movement from the order's id, with the line number as its last byte, to save
/// generating a random id per line.
fn movement_id(tx: &Tx<'_>, movement: &Movement<'_>, line: usize) -> Uuid {
    match (movement.cause, movement.order, u8::try_from(line)) {
        (Cause::Order, Some(order), Ok(line)) => {
            let mut bytes = *order.0.as_bytes();
            bytes[15] = line;
            Uuid::from_bytes(bytes)
        }
        _ => tx.id(),
    }
}

/// Inserts movements with one statement.
pub(in crate::domain::catalog) fn insert_movements(
    tx: &mut Tx<'_>,
    movements: &[Movement<'_>],
) -> Result<()> {
    let mut values: Vec<Value<'_>> = Vec::with_capacity(movements.len() * 8);
    for (line, movement) in movements.iter().enumerate() {
        values.extend([
            Value::Id(movement_id(tx, movement, line)),
            movement.product.into(),
            movement.other_variant().into(),
            movement.delta.into(),
            movement.cause.into(),
            movement.order.into(),
            movement.note.into(),
            tx.now().into(),
        ]);
    }
    let sql = format!(
        "INSERT INTO stock_movements (id, product_id, variant_id, delta, cause, order_id, note, at) VALUES {}",
        placeholders(8, movements.len())
    );
    tx.expect(&sql, &values, movements.len(), || {
        Error::internal("a stock movement was not inserted")
    })
}

/// Returns the movements with smaller ids than this, newest first; of one product, or of all.
pub(in crate::domain::catalog) fn movements_before(
    tx: &mut Tx<'_>,
    product: Option<ProductId>,
    before: Uuid,
    limit: i64,
) -> Result<Vec<RecordedMovement>> {
    let mut args = vec![Value::Id(before), Value::Int(limit)];
    let mut filter = "";
    if let Some(product) = product {
        filter = " AND m.product_id = ?3";
        args.push(product.into());
    }
    let sql = format!(
        "SELECT m.id, m.product_id, coalesce(m.variant_id, m.product_id) AS variant_id, p.name, m.delta, m.cause, m.order_id, m.note, m.at
         FROM stock_movements m JOIN products p ON p.id = m.product_id
         WHERE m.id < ?1{filter} ORDER BY m.id DESC LIMIT ?2"
    );
    tx.all(&sql, &args, movement)
}

fn movement(row: &Row<'_>) -> Result<RecordedMovement> {
    Ok(RecordedMovement {
        id: row.get("id")?,
        product_id: row.get("product_id")?,
        variant_id: row.get("variant_id")?,
        product_name: row.get("name")?,
        delta: row.get("delta")?,
        cause: row.get("cause")?,
        order_id: row.get("order_id")?,
        note: row.get("note")?,
        at: row.get("at")?,
    })
}
