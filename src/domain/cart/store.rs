//! SQL of carts.

use crate::{
    core::{
        clock::Timestamp,
        error::{Error, Result},
        id::{ProductId, UserId},
        money::{Price, Quantity},
    },
    infra::db::{Prefetched, Row, Sql, Tx, params},
};

/// A cart line as stored, with its product.
pub(super) struct LineRow {
    pub(super) product: ProductId,
    pub(super) product_row: ProductRow,
    pub(super) quantity: Quantity,
    pub(super) added_at: Timestamp,
}

/// The product columns that a cart line shows.
pub(super) struct ProductRow {
    pub(super) name: String,
    pub(super) price: Price,
    pub(super) stock: i64,
    /// JSON, parsed by `catalog::images`.
    pub(super) images: String,
}

/// Prefetches the lines of a cart. With `for_update`, locks their products in id order, which
/// prevents deadlocks.
pub(super) fn prefetch_lines(
    tx: &mut Tx<'_>,
    user: UserId,
    for_update: bool,
) -> Result<Prefetched<Vec<LineRow>>> {
    let sql = Sql::from(
        "SELECT p.name, p.price, p.stock, p.images, p.id, c.quantity, c.added_at
         FROM cart_items c JOIN products p ON p.id = c.product_id
         WHERE p.deleted_at IS NULL AND c.user_id = ?1 ORDER BY c.product_id",
    );
    let sql = if for_update { sql.for_update("p") } else { sql };
    tx.prefetch_all(sql, params![user], |row| {
        Ok(LineRow {
            product_row: product_row(row)?,
            product: row.get("id")?,
            quantity: row.get("quantity")?,
            added_at: row.get("added_at")?,
        })
    })
}

/// Prefetches a product of the catalog.
pub(super) fn prefetch_product(
    tx: &mut Tx<'_>,
    product: ProductId,
) -> Result<Prefetched<Option<ProductRow>>> {
    tx.prefetch_one(
        "SELECT name, price, stock, images FROM products WHERE id = ?1 AND deleted_at IS NULL",
        params![product],
        product_row,
    )
}

fn product_row(row: &Row<'_>) -> Result<ProductRow> {
    Ok(ProductRow {
        name: row.get("name")?,
        price: row.get("price")?,
        stock: row.get("stock")?,
        images: row.get("images")?,
    })
}

/// Inserts or updates a cart line (upsert).
pub(super) fn upsert_line(
    tx: &mut Tx<'_>,
    user: UserId,
    product: ProductId,
    quantity: Quantity,
) -> Result<()> {
    tx.expect(
        "INSERT INTO cart_items (user_id, product_id, quantity, added_at)
         VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (user_id, product_id) DO UPDATE SET quantity = excluded.quantity",
        params![user, product, quantity, tx.now()],
        1,
        || Error::internal("a cart line was not written"),
    )
}

/// Deletes a cart line. Returns whether there was one. The line of a deleted product is not visible in the cart,
/// so it is kept and counts as absent.
pub(super) fn delete(tx: &mut Tx<'_>, user: UserId, product: ProductId) -> Result<bool> {
    let deleted = tx.execute(
        "DELETE FROM cart_items WHERE user_id = ?1 AND product_id = ?2
             AND EXISTS (SELECT 1 FROM products WHERE id = ?2 AND deleted_at IS NULL)",
        params![user, product],
    )?;
    Ok(deleted == 1)
}

pub(super) fn clear(tx: &mut Tx<'_>, user: UserId) -> Result<()> {
    tx.execute_pipelined("DELETE FROM cart_items WHERE user_id = ?1", params![user])
}
