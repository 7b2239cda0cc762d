//! Collections as rows.

use crate::{
    core::{
        error::Result,
        id::{CollectionId, ProductId},
    },
    domain::catalog::{cache_tags, collection::Collection},
    infra::db::{Row, Sql, Tx, Value, params, placeholders},
};

/// The columns that [`read`] reads, of a collection `c`.
const COLUMNS: &str = "c.id, c.name, c.slug, c.description,
    (SELECT count(*) FROM collection_products l JOIN products p ON p.id = l.product_id
     WHERE l.collection_id = c.id AND p.deleted_at IS NULL) AS product_count";

fn read(row: &Row<'_>) -> Result<Collection> {
    Ok(Collection {
        id: row.get("id")?,
        name: row.get("name")?,
        slug: row.get("slug")?,
        description: row.get("description")?,
        product_count: row.get("product_count")?,
    })
}

pub(in crate::domain::catalog) fn collections(tx: &mut Tx<'_>) -> Result<Vec<Collection>> {
    let sql = format!("SELECT {COLUMNS} FROM collections c ORDER BY c.id");
    tx.all(&sql, &[], read)
}

pub(in crate::domain::catalog) fn collection_by_id(
    tx: &mut Tx<'_>,
    id: CollectionId,
) -> Result<Option<Collection>> {
    let sql = format!("SELECT {COLUMNS} FROM collections c WHERE c.id = ?1");
    tx.one(&sql, params![id], read)
}

pub(in crate::domain::catalog) fn lock_collection(tx: &mut Tx<'_>, id: CollectionId) -> Result<()> {
    let sql = Sql::from("SELECT 1 FROM collections WHERE id = ?1").for_update("collections");
    tx.one(sql, params![id], |_| Ok(())).map(drop)
}

/// Returns the id of the collection with this id or slug.
pub(in crate::domain::catalog) fn collection_by_id_or_slug(
    tx: &mut Tx<'_>,
    name: &str,
) -> Result<Option<CollectionId>> {
    if let Ok(id) = name.parse::<CollectionId>() {
        let sql = "SELECT id FROM collections WHERE id = ?1";
        if let Some(found) = tx.one(sql, params![id], |row| row.get("id"))? {
            return Ok(Some(found));
        }
    }
    // No slug contains NUL, and Postgres rejects it in a parameter.
    if name.contains('\0') {
        return Ok(None);
    }
    let sql = "SELECT id FROM collections WHERE slug = ?1";
    tx.one(sql, params![name], |row| row.get("id"))
}

pub(in crate::domain::catalog) fn insert_collection(
    tx: &mut Tx<'_>,
    id: CollectionId,
    name: &str,
    slug: &str,
    description: &str,
) -> Result<()> {
    cache_tags::invalidate_lists(tx);
    tx.execute(
        "INSERT INTO collections (id, name, slug, description, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![id, name, slug, description, tx.now()],
    )
    .map(drop)
}

pub(in crate::domain::catalog) fn update_collection(
    tx: &mut Tx<'_>,
    id: CollectionId,
    name: &str,
    description: &str,
) -> Result<()> {
    tx.execute_pipelined(
        "UPDATE collections SET name = ?2, description = ?3 WHERE id = ?1",
        params![id, name, description],
    )
}

/// Deletes a collection that has no products.
pub(in crate::domain::catalog) fn delete_collection(
    tx: &mut Tx<'_>,
    id: CollectionId,
) -> Result<()> {
    tx.execute("DELETE FROM collections WHERE id = ?1", params![id])
        .map(drop)
}

/// Removes the products of a collection. The lists and the products that name it are read again.
pub(in crate::domain::catalog) fn remove_products_of_collection(
    tx: &mut Tx<'_>,
    id: CollectionId,
    products: &[ProductId],
) -> Result<()> {
    cache_tags::invalidate_lists(tx);
    for product in products {
        cache_tags::invalidate_product(tx, *product);
    }
    tx.execute(
        "DELETE FROM collection_products WHERE collection_id = ?1",
        params![id],
    )
    .map(drop)
}

/// Adds products to a collection, from this position on.
pub(in crate::domain::catalog) fn add_products_to_collection(
    tx: &mut Tx<'_>,
    id: CollectionId,
    first_position: i64,
    products: &[ProductId],
) -> Result<()> {
    let mut values: Vec<Value<'_>> = Vec::with_capacity(products.len() * 3);
    for (position, product) in (first_position..).zip(products) {
        values.extend([id.into(), Value::Int(position), Value::from(*product)]);
        cache_tags::invalidate_product(tx, *product);
    }
    let sql = format!(
        "INSERT INTO collection_products (collection_id, position, product_id) VALUES {}",
        placeholders(3, products.len())
    );
    tx.execute(&sql, &values).map(drop)
}

/// Returns the products of a collection in their order.
pub(in crate::domain::catalog) fn products_of_collection(
    tx: &mut Tx<'_>,
    id: CollectionId,
) -> Result<Vec<ProductId>> {
    tx.all(
        "SELECT p.id FROM collection_products l JOIN products p ON p.id = l.product_id
         WHERE l.collection_id = ?1 AND p.deleted_at IS NULL ORDER BY l.position",
        params![id],
        |row| row.get("id"),
    )
}

/// Returns the collections of a product.
pub(in crate::domain::catalog) fn collections_of_product(
    tx: &mut Tx<'_>,
    product: ProductId,
) -> Result<Vec<CollectionId>> {
    let sql = "SELECT collection_id FROM collection_products WHERE product_id = ?1 ORDER BY collection_id";
    tx.all(sql, params![product], |row| row.get("collection_id"))
}

/// Returns those of these products that exist.
pub(in crate::domain::catalog) fn existing_products(
    tx: &mut Tx<'_>,
    products: &[ProductId],
) -> Result<Vec<ProductId>> {
    let values: Vec<Value<'_>> = products.iter().map(|id| Value::from(*id)).collect();
    let sql = format!(
        "SELECT id FROM products WHERE id IN {} AND deleted_at IS NULL",
        placeholders(values.len(), 1)
    );
    tx.all(&sql, &values, |row| row.get("id"))
}
