//! Changes stock by guarded updates. Every change records a movement and emits an event.
//!
//! The guard is part of the `UPDATE` statement, so that no two orders can take the same unit. A variant with options has a
//! stock of its own, and its product the sum of them; without options there is only the stock of the product.

use super::{
    get::{only_variant, product, product_for_update, variant},
    product::Product,
    search,
    stock::{Cause, Delta, Movement, OrderedUnits, Shortage, StockedVariant, Taken, insufficient},
    store,
    variant::{Variant, VariantWithProduct, full_name},
};
use crate::{
    core::{
        audit::{Action, Changes},
        error::{Error, Result},
        event::{StockChange, VariantStock},
        id::{OrderId, ProductId},
        money::Stock,
    },
    infra::db::Tx,
};

/// Takes the stock of all line items of an order, which are sorted by product. The products must have been read and locked
/// in this transaction, in the order of their ids, so that concurrent orders cannot deadlock, and the variants must have
/// enough stock.
pub fn take_stock(tx: &mut Tx<'_>, order: OrderId, lines: &[Taken]) -> Result<()> {
    store::take_stock(tx, lines)?;
    let mut changes: Vec<StockChange> = Vec::with_capacity(lines.len());
    let mut movements = Vec::with_capacity(lines.len());
    for line in lines {
        let variant = line.variant;
        let delta = -line.quantity.get();
        let taken_before = changes.last().filter(|last| last.id == variant.product);
        let before = taken_before.map_or(line.product_stock, |last| last.stock_quantity);
        let stock = NewStock {
            product: before + delta,
            variant: line.stock + delta,
        };
        reindex_if_availability_changed(tx, variant.product, stock.product, delta)?;
        movements.push(Movement {
            order: Some(order),
            ..Movement::of_variant(Cause::Order, variant.product, variant.id, delta)
        });
        add_change(&mut changes, stock.change(variant));
    }
    store::insert_movements(tx, &movements)?;
    tx.emit_stock(&changes)
}

/// Returns an order's units to stock; they are sorted by product. A deleted variant or product gets them too, but emits no
/// event.
pub fn restock(
    tx: &mut Tx<'_>,
    order: OrderId,
    units: &[OrderedUnits],
    cause: Cause,
) -> Result<()> {
    let mut changes = Vec::with_capacity(units.len());
    let mut movements = Vec::with_capacity(units.len());
    for ordered in units.iter().copied() {
        let (product, delta) = (ordered.product, ordered.quantity.get());
        let is_listed = store::stock(tx, product)?.is_some();
        let own = store::return_variant_stock(tx, ordered.variant, delta)?;
        movements.push(Movement {
            order: Some(order),
            ..Movement::of_variant(cause, product, ordered.variant, delta)
        });
        // The stock of a product is the sum of those that are not deleted.
        if own.as_ref().is_some_and(|own| own.is_deleted) {
            continue;
        }
        let stock = store::add_to_stock(tx, product, delta)?;
        reindex_if_availability_changed(tx, product, stock, delta)?;
        if is_listed {
            let variant = StockedVariant {
                id: ordered.variant,
                product,
                has_own_stock: own.is_some(),
            };
            let stock = NewStock {
                product: stock,
                variant: own.map_or(stock, |own| own.stock),
            };
            add_change(&mut changes, stock.change(variant));
        }
    }
    store::insert_movements(tx, &movements)?;
    tx.emit_stock(&changes)
}

/// Adds a change to those before, in one with that of another variant of the same product.
fn add_change(changes: &mut Vec<StockChange>, change: StockChange) {
    match changes.last_mut() {
        Some(last) if last.id == change.id => {
            last.stock_quantity = change.stock_quantity;
            last.variants.extend(change.variants);
        }
        _ => changes.push(change),
    }
}

/// Changes the stock of a product with a single variant by an admin's delta.
///
/// Errors: `not-found`, `variant-required`, `insufficient-stock`, `out-of-range`.
pub fn change_stock(
    tx: &mut Tx<'_>,
    id: ProductId,
    delta: Delta,
    reason: &str,
) -> Result<Product<'static>> {
    let current = product_for_update(tx, id)?;
    let variant = only_variant(tx, id)?;
    add_delta(tx, &variant, &current.name, delta, reason)?;
    product(tx, id)
}

/// Changes the stock of a variant by an admin's delta. `current` is the result of [`super::variant_for_update`].
///
/// Errors: `insufficient-stock`, `out-of-range`.
pub fn change_variant_stock(
    tx: &mut Tx<'_>,
    current: &VariantWithProduct,
    delta: Delta,
    reason: &str,
) -> Result<VariantWithProduct> {
    add_delta(tx, &current.variant, &current.product.name, delta, reason)?;
    variant(tx, current.variant.id)
}

fn add_delta(
    tx: &mut Tx<'_>,
    current: &Variant,
    product_name: &str,
    delta: Delta,
    reason: &str,
) -> Result<()> {
    let delta = delta.get();
    let variant = current.stocked();
    let Some(stock) = add_stock(tx, variant, delta)? else {
        return Err(if delta > 0 {
            let detail = format!("stock would exceed {}", Stock::MAX);
            Error::field("delta", "out-of-range", detail)
        } else {
            insufficient(&[Shortage {
                field: "delta".to_owned(),
                product: variant.product,
                variant: variant.has_own_stock.then_some(variant.id),
                name: full_name(product_name, &current.title),
                requested: -delta,
                available: current.stock_quantity,
            }])
        });
    };
    let movement = Movement {
        note: Some(reason),
        ..Movement::of_variant(Cause::Admin, variant.product, variant.id, delta)
    };
    store::insert_movements(tx, &[movement])?;
    tx.emit_stock(&[stock.change(variant)])?;
    let changes = || {
        Changes::none()
            .field("stockQuantity", current.stock_quantity, stock.variant)
            .with("reason", reason)
    };
    if variant.has_own_stock {
        tx.audit(Action::VariantAdjustStock, Some(&variant.id), changes)
    } else {
        tx.audit(Action::ProductAdjustStock, Some(&variant.product), changes)
    }
}

/// Sets the stock of a variant, for example after a stock count.
pub(super) fn set_stock(tx: &mut Tx<'_>, current: &Variant, stock: Stock) -> Result<()> {
    let delta = stock.get() - current.stock_quantity;
    if delta == 0 {
        return Ok(());
    }
    let variant = current.stocked();
    let stock = add_stock(tx, variant, delta)?
        .ok_or_else(|| Error::internal("stock changed although the row is locked"))?;
    let movement = Movement::of_variant(Cause::Admin, variant.product, variant.id, delta);
    store::insert_movements(tx, &[movement])?;
    tx.emit_stock(&[stock.change(variant)])
}

/// The stock of a variant and of its product after a change.
struct NewStock {
    product: i64,
    variant: i64,
}

impl NewStock {
    fn change(&self, variant: StockedVariant) -> StockChange {
        if variant.has_own_stock {
            let own = VariantStock::now(variant.id, self.variant);
            StockChange::of_variant(variant.product, self.product, own)
        } else {
            StockChange::now(variant.product, self.product)
        }
    }
}

/// Adds `delta` to the stock and returns the new stock, or `None` if it would leave its bounds.
fn add_stock(tx: &mut Tx<'_>, variant: StockedVariant, delta: i64) -> Result<Option<NewStock>> {
    let product = variant.product;
    let stock = if variant.has_own_stock {
        let Some(own) = store::add_variant_stock(tx, variant.id, delta)? else {
            return Ok(None);
        };
        NewStock {
            product: store::add_to_stock(tx, product, delta)?,
            variant: own,
        }
    } else {
        let Some(stock) = store::add_stock(tx, product, delta)? else {
            return Ok(None);
        };
        NewStock {
            product: stock,
            variant: stock,
        }
    };
    reindex_if_availability_changed(tx, product, stock.product, delta)?;
    Ok(Some(stock))
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
