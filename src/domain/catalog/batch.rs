//! The effects that batch writes accumulate: stock movements, stock events and product counts.

use std::collections::BTreeMap;

use super::{
    stock::{Cause, Movement},
    store,
};
use crate::{
    core::{
        error::Result,
        event::{StockChange, VariantStock},
        id::{CategoryId, ProductId},
    },
    infra::db::Tx,
};

/// How many rows one statement reads or writes.
pub(super) const BATCH_ROWS: usize = 500;

/// Collects the effects of product writes and writes them after all products.
#[derive(Default)]
pub(super) struct BatchEffects {
    movements: Vec<Movement<'static>>,
    stock: Vec<StockChange>,
    products: i64,
    categories: BTreeMap<CategoryId, i64>,
}

impl BatchEffects {
    /// Adds a product that was created with one variant.
    pub(super) fn add_created(
        &mut self,
        cause: Cause,
        id: ProductId,
        stock: i64,
        category: Option<CategoryId>,
    ) {
        self.add_created_product(category);
        self.add_movement(Movement::of(cause, id, stock), stock);
    }

    /// Adds a product that was created; the movements of its variants must follow.
    pub(super) fn add_created_product(&mut self, category: Option<CategoryId>) {
        self.products += 1;
        self.count(category, 1);
    }

    /// Adds a product that moved from one category to another; both may be the same.
    pub(super) fn add_moved(&mut self, from: Option<CategoryId>, to: Option<CategoryId>) {
        self.count(from, -1);
        self.count(to, 1);
    }

    /// Adds a movement that results in this stock.
    pub(super) fn add_movement(&mut self, movement: Movement<'static>, stock: i64) {
        self.movements.push(movement);
        self.stock.push(StockChange::now(movement.product, stock));
    }

    /// Adds movements of the variants of a product with options, and the resulting stock of the product.
    pub(super) fn add_variant_movements(
        &mut self,
        movements: impl Iterator<Item = (Movement<'static>, VariantStock)>,
        product: ProductId,
        product_stock: i64,
    ) {
        let mut change = StockChange::now(product, product_stock);
        for (movement, stock) in movements {
            self.movements.push(movement);
            change.variants.push(stock);
        }
        if !change.variants.is_empty() {
            self.stock.push(change);
        }
    }

    fn count(&mut self, category: Option<CategoryId>, by: i64) {
        if let Some(id) = category {
            *self.categories.entry(id).or_default() += by;
        }
    }

    pub(super) fn write(self, tx: &mut Tx<'_>) -> Result<()> {
        for movements in self.movements.chunks(BATCH_ROWS) {
            store::insert_movements(tx, movements)?;
        }
        tx.emit_stock(&self.stock)?;
        // Counters come last because others wait for their locks, and in id order to avoid deadlocks.
        store::add_to_product_count(tx, self.products)?;
        for (category, by) in self.categories {
            if by != 0 {
                store::add_to_category_count(tx, Some(category), by)?;
            }
        }
        Ok(())
    }
}
