//! Categories: one name each, by the folded name, and a slug that stays.

use std::borrow::Cow;

use serde::Serialize;
use utoipa::ToSchema;

use super::{
    fold::{fold, slug},
    store,
};
use crate::{
    db::Tx,
    error::{Error, Result},
    id::CategoryId,
    text::short_texts,
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

/// The category of that name, in any case and accents.
pub fn category_by_name(tx: &mut Tx<'_>, name: &CategoryName) -> Result<Option<Category>> {
    store::category_by_key(tx, &fold(name.as_str()))
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

pub fn rename_category(tx: &mut Tx<'_>, id: CategoryId, name: &CategoryName) -> Result<Category> {
    let taken = category_by_name(tx, name)?.is_some_and(|other| other.id != id);
    if taken {
        return Err(exists());
    }
    store::rename_category(tx, id, name.as_str(), &fold(name.as_str()))?
        .ok_or_else(|| Error::not_found("category"))
}

/// Deletes a category that no product of the catalog is in.
pub fn delete_category(tx: &mut Tx<'_>, id: CategoryId) -> Result<()> {
    let category = store::category_by_id(tx, id)?.ok_or_else(|| Error::not_found("category"))?;
    if category.product_count > 0 {
        let detail = format!("{} products are in this category", category.product_count);
        return Err(Error::conflict("category-in-use", detail));
    }
    store::delete_category(tx, id)
}

fn exists() -> Error {
    Error::conflict("category-exists", "a category of this name exists")
}
