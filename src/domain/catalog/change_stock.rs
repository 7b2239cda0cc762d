//! Changes stock by guarded updates. Every change records a movement and emits an event.
//!
//! The guard is part of the `UPDATE` statement, so that no two orders can take the same unit.

use super::{
    get::{product, product_for_update},
    product::Product,
    search,
    stock::{Cause, Delta, Movement, OrderedUnits, Shortage, Taken, insufficient},
    store,
};
use crate::{
    core::{
        audit::{Action, Changes},
        error::{Error, Result},
        event::StockChange,
        id::{OrderId, ProductId, VariantId},
        money::Stock,
    },
    infra::db::Tx,
};

/// Takes the stock of all line items of an order. The products must have been read and locked in this transaction, in
/// the order of their ids, so that concurrent orders cannot deadlock, and must have enough stock.
pub fn take_stock(tx: &mut Tx<'_>, order: OrderId, lines: &[Taken]) -> Result<()> {
    store::take_stock(tx, lines)?;
    let mut changes = Vec::with_capacity(lines.len());
    let mut movements = Vec::with_capacity(lines.len());
    for line in lines {
        let delta = -line.quantity.get();
        let left = line.stock + delta;
        reindex_if_availability_changed(tx, line.product, left, delta)?;
        movements.push(Movement {
            order: Some(order),
            ..Movement::of(Cause::Order, line.product, delta)
        });
        changes.push(StockChange::now(line.product, left));
    }
    store::insert_movements(tx, &movements)?;
    tx.emit_stock(&changes)
}

/// Returns an order's units to stock. A deleted product gets them too, but emits no event.
pub fn restock(
    tx: &mut Tx<'_>,
    order: OrderId,
    units: &[OrderedUnits],
    cause: Cause,
) -> Result<()> {
    let mut changes = Vec::with_capacity(units.len());
    let mut movements = Vec::with_capacity(units.len());
    for OrderedUnits { product, quantity } in units.iter().copied() {
        let delta = quantity.get();
        let is_listed = store::stock(tx, product)?.is_some();
        let stock = store::return_stock(tx, product, delta)?;
        reindex_if_availability_changed(tx, product, stock, delta)?;
        movements.push(Movement {
            order: Some(order),
            ..Movement::of(cause, product, delta)
        });
        if is_listed {
            changes.push(StockChange::now(product, stock));
        }
    }
    store::insert_movements(tx, &movements)?;
    tx.emit_stock(&changes)
}

/// Changes a product's stock by an admin's delta. Errors: `not-found`, `insufficient-stock`, `out-of-range`.
pub fn change_stock(
    tx: &mut Tx<'_>,
    id: ProductId,
    delta: Delta,
    reason: &str,
) -> Result<Product<'static>> {
    let current = product_for_update(tx, id)?;
    let delta = delta.get();
    let Some(stock) = add_stock(tx, id, delta)? else {
        return Err(if delta > 0 {
            let detail = format!("stock would exceed {}", Stock::MAX);
            Error::field("delta", "out-of-range", detail)
        } else {
            insufficient(&[Shortage {
                field: "delta".to_owned(),
                product: id,
                variant: VariantId(id.0),
                name: &current.name,
                requested: -delta,
                available: current.stock_quantity,
            }])
        });
    };
    let movement = Movement {
        note: Some(reason),
        ..Movement::of(Cause::Admin, id, delta)
    };
    store::insert_movements(tx, &[movement])?;
    tx.emit_stock(&[StockChange::now(id, stock)])?;
    tx.audit(Action::ProductAdjustStock, Some(&id), || {
        Changes::none()
            .field("stockQuantity", current.stock_quantity, stock)
            .with("reason", reason)
    })?;
    product(tx, id)
}

/// Sets a product's stock, for example after a stock count.
pub(super) fn set_stock(tx: &mut Tx<'_>, current: &Product<'_>, stock: Stock) -> Result<()> {
    let delta = stock.get() - current.stock_quantity;
    if delta == 0 {
        return Ok(());
    }
    add_stock(tx, current.id, delta)?
        .ok_or_else(|| Error::internal("stock changed although the row is locked"))?;
    store::insert_movements(tx, &[Movement::of(Cause::Admin, current.id, delta)])?;
    tx.emit_stock(&[StockChange::now(current.id, stock.get())])
}

/// Adds `delta` to the stock and returns the new stock, or `None` if it would leave its bounds.
fn add_stock(tx: &mut Tx<'_>, id: ProductId, delta: i64) -> Result<Option<i64>> {
    let stock = store::add_stock(tx, id, delta)?;
    if let Some(stock) = stock {
        reindex_if_availability_changed(tx, id, stock, delta)?;
    }
    Ok(stock)
}

/// Updates the search index if the change took the last unit or added the first.
fn reindex_if_availability_changed(
    tx: &mut Tx<'_>,
    id: ProductId,
    stock: i64,
    delta: i64,
) -> Result<()> {
    let is_sold_out = stock == 0;
    let was_sold_out = stock == delta;
    if is_sold_out == was_sold_out {
        return Ok(());
    }
    search::set_sold_out(tx, id, is_sold_out)
}
