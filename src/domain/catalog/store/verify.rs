//! Queries that compare the catalog's rows with each other.

use crate::{
    core::{
        error::Result,
        finding::FINDINGS_QUERY_LIMIT,
        id::{CategoryId, ProductId, VariantId},
    },
    domain::catalog::cache_tags,
    infra::db::{Row, Sql, Tx, Value, params, placeholders},
};

/// The stock of a variant and the sum of its movements, or the stock alone.
pub(in crate::domain::catalog) struct VariantStock {
    pub(in crate::domain::catalog) id: VariantId,
    pub(in crate::domain::catalog) product: ProductId,
    pub(in crate::domain::catalog) has_options: bool,
    pub(in crate::domain::catalog) stock: i64,
    pub(in crate::domain::catalog) moved: i64,
}

fn variant_stock(row: &Row<'_>) -> Result<VariantStock> {
    Ok(VariantStock {
        id: row.get("id")?,
        product: row.get("product_id")?,
        has_options: row.get("has_options")?,
        stock: row.get("stock")?,
        moved: row.get("moved")?,
    })
}

/// The stocks of all variants, deleted ones included. Without options it is that of the product.
const STOCKS: &str =
    "SELECT id, id AS product_id, 0 AS has_options, stock FROM products WHERE options = '[]'
    UNION ALL SELECT id, product_id, 1, stock FROM variants WHERE stock IS NOT NULL";

/// [`STOCKS`] with the sums of their movements.
fn balances_sql(conditions: &str) -> String {
    format!(
        "SELECT s.id, s.product_id, s.has_options, s.stock, coalesce(m.moved, 0) AS moved
         FROM ({STOCKS}) s LEFT JOIN (
             SELECT coalesce(variant_id, product_id) AS variant_id, CAST(sum(delta) AS BIGINT) AS moved
             FROM stock_movements GROUP BY coalesce(variant_id, product_id)
         ) m ON m.variant_id = s.id WHERE {conditions}"
    )
}

/// Returns the variants whose stock differs from the sum of their movements.
pub(in crate::domain::catalog) fn unbalanced_stock(tx: &mut Tx<'_>) -> Result<Vec<VariantStock>> {
    let sql = balances_sql("s.stock <> coalesce(m.moved, 0) ORDER BY s.id LIMIT ?1");
    tx.all(&sql, params![FINDINGS_QUERY_LIMIT], variant_stock)
}

/// Returns the stocks and the sums of movements of variants. Scans the movements once for all of them, since they are not
/// indexed.
pub(in crate::domain::catalog) fn balances(
    tx: &mut Tx<'_>,
    variants: &[VariantId],
) -> Result<Vec<VariantStock>> {
    let ids: Vec<Value<'_>> = variants.iter().map(|id| Value::from(*id)).collect();
    let condition = format!("s.id IN {} ORDER BY s.id", placeholders(ids.len(), 1));
    tx.all(&balances_sql(&condition), &ids, variant_stock)
}

/// Returns the products of variants, in the order of their ids.
pub(in crate::domain::catalog) fn products_of(
    tx: &mut Tx<'_>,
    variants: &[VariantId],
) -> Result<Vec<ProductId>> {
    let sql = format!(
        "SELECT DISTINCT product_id FROM ({STOCKS}) s WHERE id IN {} ORDER BY product_id",
        placeholders(variants.len(), 1)
    );
    let ids: Vec<Value<'_>> = variants.iter().map(|id| Value::from(*id)).collect();
    tx.all(&sql, &ids, |row| row.get("product_id"))
}

/// Returns the variants whose stock is out of bounds.
pub(in crate::domain::catalog) fn impossible_stock(tx: &mut Tx<'_>) -> Result<Vec<VariantStock>> {
    let sql = format!(
        "SELECT s.*, 0 AS moved FROM ({STOCKS}) s WHERE stock < 0 OR stock > 1000000000 ORDER BY id LIMIT ?1"
    );
    tx.all(&sql, params![FINDINGS_QUERY_LIMIT], variant_stock)
}

/// Returns the products whose row does not have the lowest and the highest price, the sum of the stocks and the number of
/// their variants.
pub(in crate::domain::catalog) fn wrong_kept_values(tx: &mut Tx<'_>) -> Result<Vec<ProductId>> {
    tx.all(
        "SELECT p.id FROM products p JOIN (
             SELECT product_id, count(*) AS variants, min(price) AS lowest, max(price) AS highest, sum(stock) AS total
             FROM variants WHERE deleted_at IS NULL GROUP BY product_id
         ) v ON v.product_id = p.id
         WHERE p.deleted_at IS NULL AND (p.variant_count <> v.variants OR CASE WHEN v.lowest IS NULL
             THEN p.price_max IS NOT NULL
             ELSE p.price <> v.lowest OR p.price_max IS NULL OR p.price_max <> v.highest OR p.stock <> v.total
         END) ORDER BY p.id LIMIT ?1",
        params![FINDINGS_QUERY_LIMIT],
        |row| row.get("id"),
    )
}

/// Calls `each` with the variants that have options or whose product has: product, variant, its options and those of the
/// product as JSON, and the ids of its values.
pub(in crate::domain::catalog) fn each_with_options(
    tx: &mut Tx<'_>,
    mut each: impl FnMut(ProductId, VariantId, &str, &str, &str) -> Result<()>,
) -> Result<()> {
    let sql = "SELECT v.product_id, v.id, v.options, p.options AS product_options, v.options_key
         FROM variants v JOIN products p ON p.id = v.product_id
         WHERE v.deleted_at IS NULL AND p.deleted_at IS NULL
             AND (p.options <> '[]' OR v.options <> '[]' OR v.options_key <> '')
         ORDER BY v.product_id, v.id";
    tx.each(sql, &[], |row| {
        each(
            row.get("product_id")?,
            row.get("id")?,
            row.get("options")?,
            row.get("product_options")?,
            row.get("options_key")?,
        )
    })
}

/// Returns the products whose `sold_out` contradicts their stock, with their stock.
pub(in crate::domain::catalog) fn wrong_sold_out(tx: &mut Tx<'_>) -> Result<Vec<(ProductId, i64)>> {
    tx.all(
        "SELECT id, stock FROM products
         WHERE sold_out <> CASE WHEN stock = 0 THEN 1 ELSE 0 END ORDER BY id LIMIT ?1",
        params![FINDINGS_QUERY_LIMIT],
        |row| Ok((row.get("id")?, row.get("stock")?)),
    )
}

/// Sets a product's `sold_out` by its stock, with its row locked.
pub(in crate::domain::catalog) fn set_sold_out(tx: &mut Tx<'_>, id: ProductId) -> Result<()> {
    tx.execute(
        "UPDATE products SET sold_out = CASE WHEN stock = 0 THEN 1 ELSE 0 END WHERE id = ?1",
        params![id],
    )?;
    cache_tags::invalidate_availability(tx);
    Ok(())
}

/// Counts the products.
pub(in crate::domain::catalog) fn counted_products(tx: &mut Tx<'_>) -> Result<i64> {
    let counted = tx.one(
        "SELECT count(*) AS count FROM products WHERE deleted_at IS NULL",
        &[],
        |row| row.get("count"),
    )?;
    Ok(counted.unwrap_or_default())
}

/// Recomputes the stored number of products, with its row locked.
pub(in crate::domain::catalog) fn recount_products(tx: &mut Tx<'_>) -> Result<()> {
    let row = Sql::from("SELECT 1 FROM kept_counts WHERE name = 'products'");
    tx.one(row.for_update("kept_counts"), &[], |_| Ok(()))?;
    let counted = counted_products(tx)?;
    tx.execute(
        "INSERT INTO kept_counts (name, value) VALUES ('products', ?1)
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        params![counted],
    )?;
    cache_tags::invalidate_lists(tx);
    Ok(())
}

/// Returns the categories whose stored number of products is wrong, with the stored and the correct number.
pub(in crate::domain::catalog) fn wrong_category_counts(
    tx: &mut Tx<'_>,
) -> Result<Vec<(CategoryId, i64, i64)>> {
    tx.all(
        "SELECT c.id, c.product_count, coalesce(p.counted, 0) AS counted
         FROM categories c LEFT JOIN (
             SELECT category_id, count(*) AS counted FROM products
             WHERE deleted_at IS NULL AND category_id IS NOT NULL GROUP BY category_id
         ) p ON p.category_id = c.id
         WHERE c.product_count <> coalesce(p.counted, 0) ORDER BY c.id LIMIT ?1",
        params![FINDINGS_QUERY_LIMIT],
        |row| {
            Ok((
                row.get("id")?,
                row.get("product_count")?,
                row.get("counted")?,
            ))
        },
    )
}

/// Recomputes the stored number of a category's products, with its row locked.
pub(in crate::domain::catalog) fn recount_category(tx: &mut Tx<'_>, id: CategoryId) -> Result<()> {
    let row = Sql::from("SELECT 1 FROM categories WHERE id = ?1");
    tx.one(row.for_update("categories"), params![id], |_| Ok(()))?;
    tx.execute(
        "UPDATE categories SET product_count =
             (SELECT count(*) FROM products WHERE category_id = ?1 AND deleted_at IS NULL)
         WHERE id = ?1",
        params![id],
    )?;
    cache_tags::invalidate_lists(tx);
    Ok(())
}
