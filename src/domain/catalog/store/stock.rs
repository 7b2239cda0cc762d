//! The stock of products and variants.

use std::fmt::Write;

use crate::{
    core::{
        error::{Error, Result},
        id::{ProductId, VariantId},
    },
    domain::catalog::{cache_tags, stock::Taken},
    infra::db::{Sql, Tx, Value, params},
};

/// Returns and locks the stock of a product, or `None` if it is deleted.
pub(in crate::domain::catalog) fn stock(tx: &mut Tx<'_>, id: ProductId) -> Result<Option<i64>> {
    let sql = "SELECT stock FROM products WHERE id = ?1 AND deleted_at IS NULL";
    tx.one(Sql::from(sql).for_update("products"), params![id], |row| {
        row.get("stock")
    })
}

/// Adds to the stock of a product and returns the new stock, or `None` if it would leave its bounds or the
/// product is deleted. A decrease checks the lower bound only: returned orders may have raised the stock
/// above its maximum. (`RETURNING` would make `SQLite` use a temporary table; the row is locked anyway.)
pub(in crate::domain::catalog) fn add_stock(
    tx: &mut Tx<'_>,
    id: ProductId,
    delta: i64,
) -> Result<Option<i64>> {
    let changed = tx.execute(
        "UPDATE products SET stock = stock + ?2
         WHERE id = ?1 AND stock + ?2 >= 0 AND (?2 < 0 OR stock + ?2 <= 1000000000)
             AND deleted_at IS NULL",
        params![id, delta],
    )?;
    if changed == 0 {
        return Ok(None);
    }
    cache_tags::invalidate_product(tx, id);
    stock(tx, id)
}

/// Takes the stock of line items, which are sorted by product: one statement for the products, and one for the variants
/// that have a stock of their own.
pub(in crate::domain::catalog) fn take_stock(tx: &mut Tx<'_>, lines: &[Taken]) -> Result<()> {
    let mut products = Decrease::default();
    let mut variants = Decrease::default();
    for of_product in lines.chunk_by(|a, b| a.variant.product == b.variant.product) {
        let Some(first) = of_product.first() else {
            continue;
        };
        let product = first.variant.product;
        let units = of_product.iter().map(|line| line.quantity.get()).sum();
        products.add(product.into(), units);
        for line in of_product.iter().filter(|line| line.variant.has_own_stock) {
            variants.add(line.variant.id.into(), line.quantity.get());
        }
        cache_tags::invalidate_product(tx, product);
    }
    variants.execute(tx, "variants")?;
    products.execute(tx, "products")
}

/// An update that decreases the stock of several rows.
#[derive(Default)]
struct Decrease {
    cases: String,
    ids: String,
    values: Vec<Value<'static>>,
}

impl Decrease {
    fn add(&mut self, id: Value<'static>, units: i64) {
        self.values.extend([id, Value::Int(units)]);
        let (id, units) = (self.values.len() - 1, self.values.len());
        // Writing into a `String` cannot fail.
        let _ = write!(self.cases, " WHEN ?{id} THEN CAST(?{units} AS BIGINT)");
        let _ = write!(self.ids, "{}?{id}", if id == 1 { "" } else { "," });
    }

    fn execute(&self, tx: &mut Tx<'_>, table: &str) -> Result<()> {
        if self.values.is_empty() {
            return Ok(());
        }
        let Decrease { cases, ids, values } = self;
        let sql = format!(
            "UPDATE {table} SET stock = stock - CASE id{cases} END
             WHERE id IN ({ids}) AND stock >= CASE id{cases} END AND deleted_at IS NULL"
        );
        tx.expect(&sql, values, values.len() / 2, || {
            Error::internal("the stock of a locked product changed")
        })
    }
}

/// Adds to the stock of a product without any check, deleted or not, and returns the new stock.
pub(in crate::domain::catalog) fn add_to_stock(
    tx: &mut Tx<'_>,
    id: ProductId,
    delta: i64,
) -> Result<i64> {
    cache_tags::invalidate_product(tx, id);
    tx.one(
        "UPDATE products SET stock = stock + ?2 WHERE id = ?1 RETURNING stock",
        params![id, delta],
        |row| row.get("stock"),
    )?
    .ok_or_else(|| Error::internal("a product that never existed"))
}

/// Adds to the stock of a variant that has its own, and returns the new stock, or `None` if it would leave its bounds.
pub(in crate::domain::catalog) fn add_variant_stock(
    tx: &mut Tx<'_>,
    id: VariantId,
    delta: i64,
) -> Result<Option<i64>> {
    tx.one(
        "UPDATE variants SET stock = stock + ?2
         WHERE id = ?1 AND stock + ?2 >= 0 AND (?2 < 0 OR stock + ?2 <= 1000000000)
             AND deleted_at IS NULL
         RETURNING stock",
        params![id, delta],
        |row| row.get("stock"),
    )
}

/// The stock of a variant after units were returned to it.
pub(in crate::domain::catalog) struct ReturnedStock {
    pub(in crate::domain::catalog) stock: i64,
    pub(in crate::domain::catalog) is_deleted: bool,
}

/// Adds returned units to the stock of a variant, deleted or not. Returns `None` if it has no stock of its own.
pub(in crate::domain::catalog) fn return_variant_stock(
    tx: &mut Tx<'_>,
    id: VariantId,
    quantity: i64,
) -> Result<Option<ReturnedStock>> {
    tx.one(
        "UPDATE variants SET stock = stock + ?2 WHERE id = ?1 AND stock IS NOT NULL RETURNING stock, deleted_at",
        params![id, quantity],
        |row| {
            Ok(ReturnedStock {
                stock: row.get("stock")?,
                is_deleted: row.get::<Option<i64>>("deleted_at")?.is_some(),
            })
        },
    )
}
