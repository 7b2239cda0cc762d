//! The table `stock_movements`, as a list.

use uuid::Uuid;

use crate::{
    core::{error::Result, id::ProductId},
    domain::catalog::stock::RecordedMovement,
    infra::db::{Row, Tx, Value},
};

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
        "SELECT m.id, m.product_id, p.name, m.delta, m.cause, m.order_id, m.note, m.at
         FROM stock_movements m JOIN products p ON p.id = m.product_id
         WHERE m.id < ?1{filter} ORDER BY m.id DESC LIMIT ?2"
    );
    tx.all(&sql, &args, movement)
}

fn movement(row: &Row<'_>) -> Result<RecordedMovement> {
    Ok(RecordedMovement {
        id: row.get("id")?,
        product_id: row.get("product_id")?,
        product_name: row.get("name")?,
        delta: row.get("delta")?,
        cause: row.get("cause")?,
        order_id: row.get("order_id")?,
        note: row.get("note")?,
        at: row.get("at")?,
    })
}
