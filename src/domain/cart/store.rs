//! SQL of carts.

use crate::{
    core::{
        clock::Timestamp,
        error::{Error, Result},
        id::{CartId, ProductId, UserId, VariantId},
        money::{Price, Quantity},
    },
    infra::db::{Prefetched, Row, Sql, Tx, Value, params},
};

/// A cart line as stored, with its variant.
pub(super) struct LineRow {
    pub(super) variant: VariantRow,
    pub(super) quantity: Quantity,
    pub(super) added_at: Timestamp,
}

/// The columns of a variant and its product that a cart line shows.
pub(super) struct VariantRow {
    pub(super) id: VariantId,
    pub(super) product: ProductId,
    pub(super) sku: Option<String>,
    /// JSON, parsed by `catalog::VariantOptions`.
    pub(super) options: String,
    pub(super) name: String,
    pub(super) price: Price,
    pub(super) stock: i64,
    pub(super) product_stock: i64,
    /// JSON, parsed by `catalog::images`.
    pub(super) images: String,
}

/// The columns that [`variant_row`] reads. The only variant of a product without options has the product's price and
/// stock.
const VARIANT_COLUMNS: &str =
    "v.id, v.product_id, v.sku, v.options, p.name, coalesce(v.price, p.price) AS price,
    coalesce(v.stock, p.stock) AS stock, p.stock AS product_stock, p.images";

const IS_SOLD: &str = "v.deleted_at IS NULL AND p.deleted_at IS NULL";

fn variant_row(row: &Row<'_>) -> Result<VariantRow> {
    Ok(VariantRow {
        id: row.get("id")?,
        product: row.get("product_id")?,
        sku: row.get("sku")?,
        options: row.get("options")?,
        name: row.get("name")?,
        price: row.get("price")?,
        stock: row.get("stock")?,
        product_stock: row.get("product_stock")?,
        images: row.get("images")?,
    })
}

/// Returns the id of an account's cart.
fn of_account(user: UserId) -> CartId {
    CartId(user.0)
}

/// Prefetches the lines of a cart. With `for_update`, locks their products in id order, which prevents deadlocks, and
/// their variants: after waiting for a lock, Postgres reads only the locked rows again.
pub(super) fn prefetch_lines(
    tx: &mut Tx<'_>,
    user: UserId,
    for_update: bool,
) -> Result<Prefetched<Vec<LineRow>>> {
    let order = if for_update { "ORDER BY p.id" } else { "" };
    let sql = format!(
        "SELECT {VARIANT_COLUMNS}, c.quantity, c.added_at
         FROM cart_lines c JOIN variants v ON v.id = c.variant_id JOIN products p ON p.id = v.product_id
         WHERE {IS_SOLD} AND c.cart_id = ?1 {order}"
    );
    let sql = Sql::from(&sql);
    let sql = if for_update {
        sql.for_update("p, v")
    } else {
        sql
    };
    tx.prefetch_all(sql, params![of_account(user)], |row| {
        Ok(LineRow {
            variant: variant_row(row)?,
            quantity: row.get("quantity")?,
            added_at: row.get("added_at")?,
        })
    })
}

/// Prefetches a variant.
pub(super) fn prefetch_variant(
    tx: &mut Tx<'_>,
    variant: VariantId,
) -> Result<Prefetched<Vec<VariantRow>>> {
    prefetch_variants(tx, "v.id", variant.into())
}

/// Prefetches the variants of a product.
pub(super) fn prefetch_variants_of(
    tx: &mut Tx<'_>,
    product: ProductId,
) -> Result<Prefetched<Vec<VariantRow>>> {
    prefetch_variants(tx, "v.product_id", product.into())
}

fn prefetch_variants(
    tx: &mut Tx<'_>,
    column: &str,
    id: Value<'_>,
) -> Result<Prefetched<Vec<VariantRow>>> {
    let sql = format!(
        "SELECT {VARIANT_COLUMNS} FROM variants v JOIN products p ON p.id = v.product_id
         WHERE {IS_SOLD} AND {column} = ?1 ORDER BY v.position, v.id"
    );
    tx.prefetch_all(&sql, &[id], variant_row)
}

/// Inserts the cart of an account, unless there is one.
pub(super) fn insert_cart(tx: &mut Tx<'_>, user: UserId) -> Result<()> {
    tx.execute_pipelined(
        "INSERT INTO carts (id, user_id, created_at) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO NOTHING",
        params![of_account(user), user, tx.now()],
    )
}

/// Inserts or updates a cart line (upsert).
pub(super) fn upsert_line(
    tx: &mut Tx<'_>,
    user: UserId,
    variant: VariantId,
    quantity: Quantity,
) -> Result<()> {
    tx.expect(
        "INSERT INTO cart_lines (cart_id, variant_id, quantity, added_at)
         VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (cart_id, variant_id) DO UPDATE SET quantity = excluded.quantity",
        params![of_account(user), variant, quantity, tx.now()],
        1,
        || Error::internal("a cart line was not written"),
    )
}

/// Deletes a cart line.
pub(super) fn delete_line(tx: &mut Tx<'_>, user: UserId, variant: VariantId) -> Result<()> {
    tx.expect(
        "DELETE FROM cart_lines WHERE cart_id = ?1 AND variant_id = ?2",
        params![of_account(user), variant],
        1,
        || Error::internal("a cart line was not deleted"),
    )
}

/// Deletes all lines of a cart.
pub(super) fn clear(tx: &mut Tx<'_>, user: UserId) -> Result<()> {
    let sql = "DELETE FROM cart_lines WHERE cart_id = ?1";
    tx.execute_pipelined(sql, params![of_account(user)])
}
