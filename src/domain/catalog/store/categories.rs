//! Categories as rows.

use crate::{
    core::{error::Result, id::CategoryId},
    domain::catalog::{cache_tags, category::Category},
    infra::db::{Row, Sql, Tx, params},
};

/// The columns that [`category`] reads.
const COLUMNS: &str = "id, name, slug, product_count";

pub(in crate::domain::catalog) fn categories(tx: &mut Tx<'_>) -> Result<Vec<Category>> {
    let sql = format!("SELECT {COLUMNS} FROM categories ORDER BY name_key, id");
    tx.all(&sql, &[], category)
}

pub(in crate::domain::catalog) fn category_by_id(
    tx: &mut Tx<'_>,
    id: CategoryId,
) -> Result<Option<Category>> {
    let sql = format!("SELECT {COLUMNS} FROM categories WHERE id = ?1");
    tx.one(&sql, params![id], category)
}

/// Separates name and id in the key of a duplicate: a category whose name equals that of an older one. No
/// name contains this character, and it sorts before every character that names can contain.
const KEY_SEPARATOR: char = '\u{1}';

/// Returns the key of a category whose name equals that of an older one.
pub(in crate::domain::catalog) fn duplicate_key(key: &str, category: CategoryId) -> String {
    format!("{key}{KEY_SEPARATOR}{category}")
}

/// Returns the categories whose name has this key, oldest first. There is more than one only if a new
/// normalization version made their names equal.
pub(in crate::domain::catalog) fn categories_by_key(
    tx: &mut Tx<'_>,
    key: &str,
) -> Result<Vec<Category>> {
    let duplicates = [format!("{key}{KEY_SEPARATOR}"), format!("{key}\u{2}")];
    let sql = format!(
        "SELECT {COLUMNS} FROM categories
         WHERE name_key = ?1 OR (name_key > ?2 AND name_key < ?3) ORDER BY name_key"
    );
    tx.all(&sql, params![key, &duplicates[0], &duplicates[1]], category)
}

/// If no category has this key any more, gives it to the oldest duplicate, if there is one.
pub(in crate::domain::catalog) fn reassign_key(tx: &mut Tx<'_>, key: &str) -> Result<()> {
    let duplicates = [format!("{key}{KEY_SEPARATOR}"), format!("{key}\u{2}")];
    tx.execute(
        "UPDATE categories SET name_key = ?1
         WHERE id = (SELECT id FROM categories WHERE name_key > ?2 AND name_key < ?3
                     ORDER BY name_key LIMIT 1)
             AND NOT EXISTS (SELECT 1 FROM categories WHERE name_key = ?1)",
        params![key, &duplicates[0], &duplicates[1]],
    )?;
    Ok(())
}

/// Returns all categories with their names and keys, oldest first, and locks them.
pub(in crate::domain::catalog) fn category_keys(
    tx: &mut Tx<'_>,
) -> Result<Vec<(CategoryId, String, String)>> {
    let sql = Sql::from("SELECT id, name, name_key FROM categories ORDER BY id");
    tx.all(sql.for_update("categories"), &[], |row| {
        Ok((row.get("id")?, row.get("name")?, row.get("name_key")?))
    })
}

/// Sets keys. A new key may be the current key of another category, so temporary keys are set first.
pub(in crate::domain::catalog) fn set_category_keys(
    tx: &mut Tx<'_>,
    keys: &[(CategoryId, String)],
) -> Result<()> {
    for (id, _) in keys {
        set_key(tx, *id, &duplicate_key("", *id))?;
    }
    keys.iter().try_for_each(|(id, key)| set_key(tx, *id, key))
}

fn set_key(tx: &mut Tx<'_>, id: CategoryId, key: &str) -> Result<()> {
    let sql = "UPDATE categories SET name_key = ?2 WHERE id = ?1";
    tx.execute(sql, params![id, key]).map(drop)
}

/// Returns the category with this id or slug.
pub(in crate::domain::catalog) fn category_by_id_or_slug(
    tx: &mut Tx<'_>,
    name: &str,
) -> Result<Option<Category>> {
    if let Ok(id) = name.parse::<CategoryId>()
        && let Some(found) = category_by_id(tx, id)?
    {
        return Ok(Some(found));
    }
    // No slug contains NUL, and Postgres rejects it in a parameter.
    if name.contains('\0') {
        return Ok(None);
    }
    let sql = format!("SELECT {COLUMNS} FROM categories WHERE slug = ?1");
    tx.one(&sql, params![name], category)
}

fn category(row: &Row<'_>) -> Result<Category> {
    Ok(Category {
        id: row.get("id")?,
        name: row.get("name")?,
        slug: row.get("slug")?,
        product_count: row.get("product_count")?,
    })
}

pub(in crate::domain::catalog) fn slug_is_taken(tx: &mut Tx<'_>, slug: &str) -> Result<bool> {
    let found = tx.one(
        "SELECT 1 FROM categories WHERE slug = ?1",
        params![slug],
        |_| Ok(()),
    )?;
    Ok(found.is_some())
}

/// Returns `false` if the name is taken.
pub(in crate::domain::catalog) fn insert_category(
    tx: &mut Tx<'_>,
    category: &Category,
    key: &str,
) -> Result<bool> {
    cache_tags::invalidate_categories(tx);
    let inserted = tx.execute(
        "INSERT INTO categories (id, name, name_key, slug, product_count)
         VALUES (?1, ?2, ?3, ?4, 0) ON CONFLICT (name_key) DO NOTHING",
        params![category.id, &category.name, key, &category.slug],
    )?;
    Ok(inserted == 1)
}

/// Changes the spelling of a name but not its key.
pub(in crate::domain::catalog) fn set_category_name(
    tx: &mut Tx<'_>,
    id: CategoryId,
    name: &str,
) -> Result<Option<Category>> {
    cache_tags::invalidate_categories(tx);
    let sql = format!("UPDATE categories SET name = ?2 WHERE id = ?1 RETURNING {COLUMNS}");
    tx.one(&sql, params![id, name], category)
}

pub(in crate::domain::catalog) fn rename_category(
    tx: &mut Tx<'_>,
    id: CategoryId,
    name: &str,
    key: &str,
) -> Result<Option<Category>> {
    cache_tags::invalidate_categories(tx);
    let sql =
        format!("UPDATE categories SET name = ?2, name_key = ?3 WHERE id = ?1 RETURNING {COLUMNS}");
    tx.one(&sql, params![id, name, key], category)
}

/// Deletes a category, after removing deleted products from it. Returns `false` if it is deleted already, perhaps by a
/// concurrent transaction.
pub(in crate::domain::catalog) fn delete_category(tx: &mut Tx<'_>, id: CategoryId) -> Result<bool> {
    tx.execute(
        "UPDATE products SET category_id = NULL WHERE category_id = ?1 AND deleted_at IS NOT NULL",
        params![id],
    )?;
    cache_tags::invalidate_categories(tx);
    let deleted = tx.execute("DELETE FROM categories WHERE id = ?1", params![id])?;
    Ok(deleted == 1)
}
