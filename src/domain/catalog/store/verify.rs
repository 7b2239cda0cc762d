//! Queries that compare the catalog's rows with each other.

use crate::{
    core::{
        error::Result,
        finding::FINDINGS_QUERY_LIMIT,
        id::{CategoryId, ProductId},
    },
    domain::catalog::cache_tags,
    infra::db::{Sql, Tx, Value, params, placeholders},
};

/// Returns the products whose stock differs from the sum of their movements, with both numbers.
pub(in crate::domain::catalog) fn unbalanced_stock(
    tx: &mut Tx<'_>,
) -> Result<Vec<(ProductId, i64, i64)>> {
    tx.all(
        "SELECT p.id, p.stock, CAST(coalesce(m.moved, 0) AS BIGINT) AS moved
         FROM products p LEFT JOIN (
             SELECT product_id, sum(delta) AS moved FROM stock_movements GROUP BY product_id
         ) m ON m.product_id = p.id
         WHERE p.stock <> coalesce(m.moved, 0) ORDER BY p.id LIMIT ?1",
        params![FINDINGS_QUERY_LIMIT],
        |row| Ok((row.get("id")?, row.get("stock")?, row.get("moved")?)),
    )
}

/// Returns the sum of movements of each product that has any. Scans the movements once for all products,
/// since they are not indexed by product.
pub(in crate::domain::catalog) fn movement_sums(
    tx: &mut Tx<'_>,
    products: &[ProductId],
) -> Result<Vec<(ProductId, i64)>> {
    let sql = format!(
        "SELECT product_id, CAST(sum(delta) AS BIGINT) AS moved FROM stock_movements
         WHERE product_id IN {} GROUP BY product_id",
        placeholders(products.len(), 1)
    );
    let ids: Vec<Value<'_>> = products.iter().map(|id| Value::from(*id)).collect();
    tx.all(&sql, &ids, |row| {
        Ok((row.get("product_id")?, row.get("moved")?))
    })
}

/// Returns the products whose stock is out of bounds, with their stock.
pub(in crate::domain::catalog) fn impossible_stock(
    tx: &mut Tx<'_>,
) -> Result<Vec<(ProductId, i64)>> {
    tx.all(
        "SELECT id, stock FROM products WHERE stock < 0 OR stock > 1000000000 ORDER BY id LIMIT ?1",
        params![FINDINGS_QUERY_LIMIT],
        |row| Ok((row.get("id")?, row.get("stock")?)),
    )
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
