//! Category types: a unique name, compared in normalized form, and a slug that never changes.

use std::borrow::Cow;

use serde::Serialize;
use utoipa::ToSchema;

use crate::core::{id::CategoryId, text::short_texts};

short_texts! {
    /// A category's name.
    CategoryName
}

/// A category with its number of products.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Category {
    pub id: CategoryId,
    pub name: String,
    pub slug: String,
    pub product_count: i64,
}

/// The category of a product.
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
