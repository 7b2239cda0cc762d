//! Finds the products whose normalized texts are missing or outdated.

use crate::{
    core::{
        error::Result,
        id::{CategoryId, ProductId},
        money::Price,
    },
    domain::catalog::{cache_tags, normalize::VERSION},
    infra::db::{Sql, Tx, params},
};

/// A product that the current version has not indexed.
pub(in crate::domain::catalog) struct UnindexedProduct<'a> {
    pub(in crate::domain::catalog) id: ProductId,
    pub(in crate::domain::catalog) name: &'a str,
    pub(in crate::domain::catalog) description: &'a str,
    pub(in crate::domain::catalog) category: Option<CategoryId>,
    pub(in crate::domain::catalog) price: Price,
    pub(in crate::domain::catalog) stock: i64,
    pub(in crate::domain::catalog) name_key: &'a str,
    pub(in crate::domain::catalog) slug: &'a str,
}

/// Calls `each` with up to `max` products after `after`, in id order, that the current version has not
/// indexed, and locks them.
pub(in crate::domain::catalog) fn lock_unindexed(
    tx: &mut Tx<'_>,
    after: ProductId,
    max: i64,
    mut each: impl FnMut(UnindexedProduct<'_>),
) -> Result<()> {
    let sql =
        "SELECT p.id, p.name, p.description, p.category_id, p.price, p.stock, p.name_key, p.slug
         FROM products p
         WHERE p.id > ?1 AND p.deleted_at IS NULL AND NOT EXISTS
             (SELECT 1 FROM product_search s WHERE s.product_id = p.id AND s.folding >= ?3)
         ORDER BY p.id LIMIT ?2";
    tx.each(
        Sql::from(sql).for_update("p"),
        params![after, max, VERSION],
        |row| {
            each(UnindexedProduct {
                id: row.get("id")?,
                name: row.get("name")?,
                description: row.get("description")?,
                category: row.get("category_id")?,
                price: row.get("price")?,
                stock: row.get("stock")?,
                name_key: row.get("name_key")?,
                slug: row.get("slug")?,
            });
            Ok(())
        },
    )
}

/// Sets the normalized name and the slug of a product.
pub(in crate::domain::catalog) fn set_name_key(
    tx: &mut Tx<'_>,
    id: ProductId,
    name_key: &str,
    slug: &str,
) -> Result<()> {
    tx.execute(
        "UPDATE products SET name_key = ?2, slug = ?3 WHERE id = ?1",
        params![id, name_key, slug],
    )?;
    cache_tags::invalidate_listed(tx, id);
    Ok(())
}

/// Returns the highest id among the indexed products.
pub(in crate::domain::catalog) fn last_indexed(tx: &mut Tx<'_>) -> Result<Option<ProductId>> {
    let sql = "SELECT product_id FROM product_search ORDER BY product_id DESC LIMIT 1";
    tx.one(sql, &[], |row| row.get("product_id"))
}

/// Returns whether any product was indexed before index entries had versions.
pub(in crate::domain::catalog) fn has_unversioned(tx: &mut Tx<'_>) -> Result<bool> {
    let sql = "SELECT 1 FROM product_search WHERE folding = 0 LIMIT 1";
    Ok(tx.one(sql, &[], |_| Ok(()))?.is_some())
}

/// Counts the products that the current version has indexed.
pub(in crate::domain::catalog) fn count_indexed(tx: &mut Tx<'_>) -> Result<i64> {
    let sql = "SELECT count(*) AS count FROM product_search WHERE folding >= ?1";
    let counted = tx.one(sql, params![VERSION], |row| row.get("count"))?;
    Ok(counted.unwrap_or_default())
}
