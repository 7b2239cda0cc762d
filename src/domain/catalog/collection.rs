//! Collection types: products that an admin puts together, in an order of their own.

use serde::Serialize;
use utoipa::ToSchema;

use super::product::Description;
use crate::core::{
    id::{CollectionId, ProductId},
    text::short_texts,
};

/// The maximum number of products of a collection.
pub(super) const MAX_PRODUCTS: usize = 10_000;

short_texts! {
    /// A collection's name.
    CollectionName
}

/// A collection with its number of products.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Collection {
    pub id: CollectionId,
    pub name: String,
    pub slug: String,
    pub description: String,
    pub product_count: i64,
}

/// A collection with its products in their order.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CollectionWithProducts {
    #[serde(flatten)]
    pub collection: Collection,
    pub product_ids: Vec<ProductId>,
}

/// The input for creating a collection.
#[derive(Debug, Clone)]
pub struct NewCollection {
    pub name: CollectionName,
    pub description: Description,
    pub products: Vec<ProductId>,
}

/// A partial update; fields that are `None` keep their values.
#[derive(Debug, Clone, Default)]
pub struct CollectionChanges {
    pub name: Option<CollectionName>,
    pub description: Option<Description>,
    /// The whole list in its order.
    pub products: Option<Vec<ProductId>>,
}
