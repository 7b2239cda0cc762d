//! Creates, renames, deletes and finds categories. No two get names that are equal in normalized form.
//!
//! A new normalization version can make existing names equal. Both categories are kept: the id of the newer
//! one is appended to its key. While both exist, no other category can take an equal name.

use std::collections::BTreeSet;

use super::{
    category::{Category, CategoryName},
    normalize::{normalize, unused_slug},
    problems::{CATEGORY_EXISTS, CATEGORY_IN_USE},
    store,
};
use crate::{
    core::{
        audit::{Action, Changes},
        error::{Error, Result},
        id::CategoryId,
    },
    infra::db::Tx,
};

/// Returns all categories, ordered by normalized name.
pub fn categories(tx: &mut Tx<'_>) -> Result<Vec<Category>> {
    store::categories(tx)
}

/// Returns the category with this name, ignoring case and accents. If several names are equal (see the
/// module docs), an exact match is preferred.
pub fn category_by_name(tx: &mut Tx<'_>, name: &CategoryName) -> Result<Option<Category>> {
    let mut equal = store::categories_by_key(tx, &normalize(name.as_str()))?;
    let exact = equal
        .iter()
        .position(|category| category.name == name.as_str());
    let first = exact.or((!equal.is_empty()).then_some(0));
    Ok(first.map(|at| equal.swap_remove(at)))
}

/// Creates a category. Errors: `category-exists`.
pub fn add_category(tx: &mut Tx<'_>, name: &CategoryName) -> Result<Category> {
    let created = insert_category(tx, name)?;
    tx.audit(Action::CategoryCreate, Some(&created.id), || {
        Changes::between(None, Some(&created))
    })?;
    Ok(created)
}

/// Like [`add_category`], as part of an import, which the audit log records as a whole.
pub(super) fn insert_category(tx: &mut Tx<'_>, name: &CategoryName) -> Result<Category> {
    let category = Category {
        id: tx.id(),
        name: name.as_str().to_owned(),
        slug: unused_slug(name.as_str(), |slug| store::slug_is_taken(tx, slug))?,
        product_count: 0,
    };
    if store::insert_category(tx, &category, &normalize(name.as_str()))? {
        Ok(category)
    } else {
        Err(exists())
    }
}

/// Renames a category. A change of case or accents alone keeps the name's key. Errors: `not-found`,
/// `category-exists`.
pub fn rename_category(tx: &mut Tx<'_>, id: CategoryId, name: &CategoryName) -> Result<Category> {
    let key = normalize(name.as_str());
    let current = store::category_by_id(tx, id)?.ok_or_else(not_found)?;
    let renamed = if normalize(&current.name) == key {
        store::set_category_name(tx, id, name.as_str())?.ok_or_else(not_found)?
    } else {
        if !store::categories_by_key(tx, &key)?.is_empty() {
            return Err(exists());
        }
        let renamed = store::rename_category(tx, id, name.as_str(), &key)?.ok_or_else(not_found)?;
        store::reassign_key(tx, &normalize(&current.name))?;
        renamed
    };
    tx.audit(Action::CategoryUpdate, Some(&id), || {
        Changes::none().field("name", &current.name, &renamed.name)
    })?;
    Ok(renamed)
}

/// Deletes an empty category. Errors: `not-found`, `category-in-use`.
pub fn delete_category(tx: &mut Tx<'_>, id: CategoryId) -> Result<()> {
    let category = store::category_by_id(tx, id)?.ok_or_else(not_found)?;
    if category.product_count > 0 {
        let detail = format!("{} products are in this category", category.product_count);
        return Err(CATEGORY_IN_USE.error(detail));
    }
    if !store::delete_category(tx, id)? {
        return Err(not_found());
    }
    tx.audit(Action::CategoryDelete, Some(&id), || {
        Changes::between(Some(&category), None)
    })?;
    store::reassign_key(tx, &normalize(&category.name))
}

/// Errors: `validation-failed` with `unknown-category`.
pub(super) fn check_category(tx: &mut Tx<'_>, category: Option<CategoryId>) -> Result<()> {
    let Some(id) = category else { return Ok(()) };
    match store::category_by_id(tx, id)? {
        Some(_) => Ok(()),
        None => Err(Error::field(
            "categoryId",
            "unknown-category",
            "category not found",
        )),
    }
}

/// Recomputes the keys of all names. If several have become equal, the oldest gets the plain key.
pub(super) fn recompute_keys(tx: &mut Tx<'_>) -> Result<()> {
    let mut taken = BTreeSet::new();
    let mut changed = Vec::new();
    for (category, name, current_key) in store::category_keys(tx)? {
        let plain_key = normalize(&name);
        let key = if taken.insert(plain_key.clone()) {
            plain_key
        } else {
            store::duplicate_key(&plain_key, category)
        };
        if key != current_key {
            changed.push((category, key));
        }
    }
    store::set_category_keys(tx, &changed)
}

fn not_found() -> Error {
    Error::not_found("category")
}

fn exists() -> Error {
    CATEGORY_EXISTS.error("a category with this name already exists")
}
