//! Categories: one name each, by the folded name, and a slug that stays.
//!
//! Names that were different to an older version may have become equal. Both categories stay then: the key
//! of the younger one has its id behind it. No other category gets an equal name while one of them is there.

use std::{borrow::Cow, collections::BTreeSet};

use serde::Serialize;
use utoipa::ToSchema;

use super::{
    fold::{fold, slug},
    store,
};
use crate::{
    core::{
        error::{Error, Result},
        id::CategoryId,
        text::short_texts,
    },
    infra::db::Tx,
};

short_texts! {
    /// A category's name.
    CategoryName
}

/// A category as lists show it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Category {
    pub id: CategoryId,
    pub name: String,
    pub slug: String,
    pub product_count: i64,
}

/// A category as its products name it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CategoryRef<'a> {
    pub id: CategoryId,
    pub name: Cow<'a, str>,
    pub slug: Cow<'a, str>,
}

impl CategoryRef<'_> {
    pub(super) fn into_owned(self) -> CategoryRef<'static> {
        CategoryRef {
            id: self.id,
            name: Cow::Owned(self.name.into_owned()),
            slug: Cow::Owned(self.slug.into_owned()),
        }
    }
}

/// All of them, by folded name.
pub fn categories(tx: &mut Tx<'_>) -> Result<Vec<Category>> {
    store::categories(tx)
}

/// The category of that name, in any case and accents. Of several that an older version let be made
/// under equal names, the one that is spelt so comes first.
pub fn category_by_name(tx: &mut Tx<'_>, name: &CategoryName) -> Result<Option<Category>> {
    let mut equal = store::categories_by_key(tx, &fold(name.as_str()))?;
    let spelt_so = equal
        .iter()
        .position(|category| category.name == name.as_str());
    let first = spelt_so.or((!equal.is_empty()).then_some(0));
    Ok(first.map(|at| equal.swap_remove(at)))
}

pub fn add_category(tx: &mut Tx<'_>, name: &CategoryName) -> Result<Category> {
    let base = slug(name.as_str());
    let mut category = Category {
        id: tx.id(),
        name: name.0.clone(),
        slug: base.clone(),
        product_count: 0,
    };
    let mut next = 2;
    while store::slug_is_taken(tx, &category.slug)? {
        category.slug = format!("{base}-{next}");
        next += 1;
    }
    if store::insert_category(tx, &category, &fold(name.as_str()))? {
        Ok(category)
    } else {
        Err(exists())
    }
}

/// Renames a category. One of several with equal names may be spelt differently and keep its name's key.
pub fn rename_category(tx: &mut Tx<'_>, id: CategoryId, name: &CategoryName) -> Result<Category> {
    let key = fold(name.as_str());
    let current = store::category_by_id(tx, id)?.ok_or_else(not_found)?;
    if fold(&current.name) == key {
        return store::respell_category(tx, id, name.as_str())?.ok_or_else(not_found);
    }
    if !store::categories_by_key(tx, &key)?.is_empty() {
        return Err(exists());
    }
    let renamed = store::rename_category(tx, id, name.as_str(), &key)?.ok_or_else(not_found)?;
    store::pass_on_key(tx, &fold(&current.name))?;
    Ok(renamed)
}

/// Deletes a category that no product of the catalog is in.
pub fn delete_category(tx: &mut Tx<'_>, id: CategoryId) -> Result<()> {
    let category = store::category_by_id(tx, id)?.ok_or_else(not_found)?;
    if category.product_count > 0 {
        let detail = format!("{} products are in this category", category.product_count);
        return Err(Error::conflict("category-in-use", detail));
    }
    store::delete_category(tx, id)?;
    store::pass_on_key(tx, &fold(&category.name))
}

/// Computes the keys of all names again. Of those that have become equal the oldest has the key itself.
pub(super) fn refold(tx: &mut Tx<'_>) -> Result<()> {
    let mut taken = BTreeSet::new();
    let mut changed = Vec::new();
    for (category, name, key) in store::category_keys(tx)? {
        let folded = fold(&name);
        let wanted = if taken.insert(folded.clone()) {
            folded
        } else {
            store::further_key(&folded, category)
        };
        if wanted != key {
            changed.push((category, wanted));
        }
    }
    store::set_category_keys(tx, &changed)
}

fn not_found() -> Error {
    Error::not_found("category")
}

fn exists() -> Error {
    Error::conflict("category-exists", "a category of this name exists")
}
