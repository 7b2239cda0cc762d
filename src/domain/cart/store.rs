//! SQL of carts.

use super::CartOwner;
use crate::{
    core::{
        clock::Timestamp,
        error::{Error, Result},
        finding::FINDINGS_QUERY_LIMIT,
        id::{CartId, ProductId, UserId, VariantId},
        money::{Price, Quantity},
    },
    infra::db::{Prefetched, Row, Sql, Tx, Value, params, placeholders},
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

/// Prefetches the lines of a cart. With `for_update`, locks their products in id order, which prevents deadlocks, and
/// their variants: after waiting for a lock, Postgres reads only the locked rows again.
pub(super) fn prefetch_lines(
    tx: &mut Tx<'_>,
    cart: CartId,
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
    tx.prefetch_all(sql, params![cart], |row| {
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
        params![CartOwner::Account(user).cart(), user, tx.now()],
    )
}

/// Inserts or updates a cart line (upsert).
pub(super) fn upsert_line(
    tx: &mut Tx<'_>,
    cart: CartId,
    variant: VariantId,
    quantity: Quantity,
) -> Result<()> {
    tx.expect(
        "INSERT INTO cart_lines (cart_id, variant_id, quantity, added_at)
         VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (cart_id, variant_id) DO UPDATE SET quantity = excluded.quantity",
        params![cart, variant, quantity, tx.now()],
        1,
        || Error::internal("a cart line was not written"),
    )
}

/// Deletes a cart line.
pub(super) fn delete_line(tx: &mut Tx<'_>, cart: CartId, variant: VariantId) -> Result<()> {
    tx.expect(
        "DELETE FROM cart_lines WHERE cart_id = ?1 AND variant_id = ?2",
        params![cart, variant],
        1,
        || Error::internal("a cart line was not deleted"),
    )
}

/// Deletes all lines of a cart.
pub(super) fn clear(tx: &mut Tx<'_>, cart: CartId) -> Result<()> {
    let sql = "DELETE FROM cart_lines WHERE cart_id = ?1";
    tx.execute_pipelined(sql, params![cart])
}

/// Inserts or updates cart lines. An existing one keeps the time when it was added.
pub(super) fn upsert_lines(
    tx: &mut Tx<'_>,
    cart: CartId,
    lines: &[(VariantId, Quantity, Timestamp)],
) -> Result<()> {
    let mut values: Vec<Value<'_>> = Vec::with_capacity(lines.len() * 4);
    for (variant, quantity, added_at) in lines {
        values.extend([
            cart.into(),
            Value::from(*variant),
            Value::from(*quantity),
            Value::from(*added_at),
        ]);
    }
    let sql = format!(
        "INSERT INTO cart_lines (cart_id, variant_id, quantity, added_at) VALUES {}
         ON CONFLICT (cart_id, variant_id) DO UPDATE SET quantity = excluded.quantity",
        placeholders(4, lines.len())
    );
    tx.expect(&sql, &values, lines.len(), || {
        Error::internal("a cart line was not written")
    })
}

/// Returns the variants in a cart, oldest first, also those that are not sold any more.
pub(super) fn variants_in(tx: &mut Tx<'_>, cart: CartId) -> Result<Vec<VariantId>> {
    let sql = "SELECT variant_id FROM cart_lines WHERE cart_id = ?1 ORDER BY added_at, variant_id";
    tx.all(sql, params![cart], |row| row.get("variant_id"))
}

pub(super) fn insert_guest_cart(tx: &mut Tx<'_>, id: CartId, token_hash: &[u8]) -> Result<()> {
    tx.execute_pipelined(
        "INSERT INTO carts (id, token_hash, created_at, updated_at) VALUES (?1, ?2, ?3, ?3)",
        params![id, token_hash, tx.now()],
    )
}

/// Returns the cart of a guest that changed at `since` or later, unless it was merged.
pub(super) fn guest_cart(
    tx: &mut Tx<'_>,
    token_hash: &[u8],
    since: Timestamp,
) -> Result<Option<CartId>> {
    tx.one(
        "SELECT id FROM carts WHERE token_hash = ?1 AND updated_at >= ?2 AND merged_into IS NULL",
        params![token_hash, since],
        |row| row.get("id"),
    )
}

/// Like [`guest_cart`], and records a change, which locks the cart.
pub(super) fn touch_guest_cart(
    tx: &mut Tx<'_>,
    token_hash: &[u8],
    since: Timestamp,
) -> Result<Option<CartId>> {
    tx.one(
        "UPDATE carts SET updated_at = ?3
         WHERE token_hash = ?1 AND updated_at >= ?2 AND merged_into IS NULL RETURNING id",
        params![token_hash, since, tx.now()],
        |row| row.get("id"),
    )
}

/// The cart of a guest.
pub(super) struct GuestCart {
    pub(super) id: CartId,
    pub(super) merged_into: Option<CartId>,
}

/// Returns and locks the cart of a guest that changed at `since` or later.
pub(super) fn lock_guest_cart(
    tx: &mut Tx<'_>,
    token_hash: &[u8],
    since: Timestamp,
) -> Result<Option<GuestCart>> {
    let sql = "SELECT id, merged_into FROM carts WHERE token_hash = ?1 AND updated_at >= ?2";
    let sql = Sql::from(sql).for_update("carts");
    tx.one(sql, params![token_hash, since], |row| {
        Ok(GuestCart {
            id: row.get("id")?,
            merged_into: row.get("merged_into")?,
        })
    })
}

/// Records that the lines of a guest's cart are in another one.
pub(super) fn set_merged(tx: &mut Tx<'_>, cart: CartId, into: CartId) -> Result<()> {
    tx.execute_pipelined(
        "UPDATE carts SET merged_into = ?2, updated_at = ?3 WHERE id = ?1",
        params![cart, into, tx.now()],
    )
}

/// Deletes carts of guests that changed before a time, oldest first. Returns how many.
pub(super) fn delete_guest_carts(tx: &mut Tx<'_>, before: Timestamp, limit: i64) -> Result<u64> {
    let sql = "SELECT id FROM carts WHERE token_hash IS NOT NULL AND updated_at < ?1 ORDER BY updated_at LIMIT ?2";
    let sql = Sql::from(sql).for_update("carts");
    let ids: Vec<CartId> = tx.all(sql, params![before, limit], |row| row.get("id"))?;
    if ids.is_empty() {
        return Ok(0);
    }
    let values: Vec<Value<'_>> = ids.iter().map(|id| Value::from(*id)).collect();
    let list = placeholders(ids.len(), 1);
    tx.execute_pipelined(
        &format!("DELETE FROM cart_lines WHERE cart_id IN {list}"),
        &values,
    )?;
    tx.execute(&format!("DELETE FROM carts WHERE id IN {list}"), &values)
}

/// Returns the carts that do not have exactly one owner, and those that were merged but have lines, with whether they were
/// merged.
pub(super) fn wrong_carts(tx: &mut Tx<'_>) -> Result<Vec<(CartId, bool)>> {
    tx.all(
        "SELECT c.id, CASE WHEN c.merged_into IS NULL THEN 0 ELSE 1 END AS is_merged FROM carts c
         WHERE (c.user_id IS NULL) = (c.token_hash IS NULL) OR (c.merged_into IS NOT NULL
             AND EXISTS (SELECT 1 FROM cart_lines l WHERE l.cart_id = c.id))
         ORDER BY c.id LIMIT ?1",
        params![FINDINGS_QUERY_LIMIT],
        |row| Ok((row.get("id")?, row.get("is_merged")?)),
    )
}
