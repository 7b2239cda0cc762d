//! Categories as rows.

use crate::{
    args,
    catalog::Category,
    db::{Row, Tx},
    error::Result,
    id::CategoryId,
};

pub(in crate::catalog) fn categories(tx: &mut Tx<'_>) -> Result<Vec<Category>> {
    tx.all(
        "SELECT id, name, slug, product_count FROM categories ORDER BY name_key, id",
        &[],
        category,
    )
}

pub(in crate::catalog) fn category_by_id(
    tx: &mut Tx<'_>,
    id: CategoryId,
) -> Result<Option<Category>> {
    tx.one(
        "SELECT id, name, slug, product_count FROM categories WHERE id = ?1",
        args![id],
        category,
    )
}

pub(in crate::catalog) fn category_by_key(tx: &mut Tx<'_>, key: &str) -> Result<Option<Category>> {
    tx.one(
        "SELECT id, name, slug, product_count FROM categories WHERE name_key = ?1",
        args![key],
        category,
    )
}

/// By id or slug, as the filter of lists names one.
pub(super) fn category_by_name_in_path(tx: &mut Tx<'_>, name: &str) -> Result<Option<Category>> {
    if let Ok(id) = name.parse::<CategoryId>()
        && let Some(found) = category_by_id(tx, id)?
    {
        return Ok(Some(found));
    }
    // No slug holds one, and not every engine can be asked for it.
    if name.contains('\0') {
        return Ok(None);
    }
    tx.one(
        "SELECT id, name, slug, product_count FROM categories WHERE slug = ?1",
        args![name],
        category,
    )
}

fn category(row: &Row<'_>) -> Result<Category> {
    Ok(Category {
        id: row.get(0)?,
        name: row.get(1)?,
        slug: row.get(2)?,
        product_count: row.get(3)?,
    })
}

pub(in crate::catalog) fn slug_is_taken(tx: &mut Tx<'_>, slug: &str) -> Result<bool> {
    let found = tx.one(
        "SELECT 1 FROM categories WHERE slug = ?1",
        args![slug],
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

/// Tells whether the name was free.
pub(in crate::catalog) fn insert_category(
    tx: &mut Tx<'_>,
    category: &Category,
    key: &str,
) -> Result<bool> {
    let made = tx.execute(
        "INSERT INTO categories (id, name, name_key, slug, product_count)
         VALUES (?1, ?2, ?3, ?4, 0) ON CONFLICT (name_key) DO NOTHING",
        args![category.id, &category.name, key, &category.slug],
    )?;
    Ok(made == 1)
}

pub(in crate::catalog) fn rename_category(
    tx: &mut Tx<'_>,
    id: CategoryId,
    name: &str,
    key: &str,
) -> Result<Option<Category>> {
    tx.one(
        "UPDATE categories SET name = ?2, name_key = ?3 WHERE id = ?1
         RETURNING id, name, slug, product_count",
        args![id, name, key],
        category,
    )
}

/// Products that have left the catalog let go of their category first.
pub(in crate::catalog) fn delete_category(tx: &mut Tx<'_>, id: CategoryId) -> Result<()> {
    tx.execute(
        "UPDATE products SET category_id = NULL WHERE category_id = ?1 AND deleted_at IS NOT NULL",
        args![id],
    )?;
    tx.execute("DELETE FROM categories WHERE id = ?1", args![id])?;
    Ok(())
}
