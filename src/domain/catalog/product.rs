//! Product types.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::category::CategoryRef;
use crate::{
    core::{
        clock::Timestamp,
        id::{CategoryId, ProductId},
        money::{Price, Stock},
        text::short_texts,
    },
    domain::media::Image,
};

short_texts! {
    /// A product's name.
    ProductName
}

/// A product's description: up to 10,000 characters, line breaks included, no NUL character.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, max_length = 10_000, pattern = r"^[^\u0000]*$")]
pub struct Description(String);

impl TryFrom<String> for Description {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.chars().count() > 10_000 {
            Err("must be at most 10,000 characters".to_owned())
        } else if text.contains('\0') {
            Err("must not contain a NUL character".to_owned())
        } else {
            Ok(Description(text))
        }
    }
}

impl Description {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A product as clients see it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Product<'a> {
    pub id: ProductId,
    pub name: Cow<'a, str>,
    pub slug: Cow<'a, str>,
    pub description: Cow<'a, str>,
    /// The lowest price of its variants, in the currency's minor unit.
    pub price: Price,
    /// The highest price of its variants, in the currency's minor unit.
    pub price_max: Price,
    /// ISO 4217.
    #[schema(example = "INR", pattern = "^[A-Z]{3}$")]
    pub currency: &'static str,
    /// The sum of its variants.
    pub stock_quantity: i64,
    /// 1 without options.
    pub variant_count: i64,
    pub images: Vec<Image>,
    #[schema(required)]
    pub category_id: Option<CategoryId>,
    #[schema(required)]
    pub category: Option<CategoryRef<'a>>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Product<'_> {
    /// Clones borrowed texts so that the product outlives its row.
    pub fn into_owned(self) -> Product<'static> {
        Product {
            name: Cow::Owned(self.name.into_owned()),
            slug: Cow::Owned(self.slug.into_owned()),
            description: Cow::Owned(self.description.into_owned()),
            category: self.category.map(CategoryRef::into_owned),
            id: self.id,
            price: self.price,
            price_max: self.price_max,
            currency: self.currency,
            stock_quantity: self.stock_quantity,
            variant_count: self.variant_count,
            images: self.images,
            category_id: self.category_id,
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }
}

/// The input for creating a product.
#[derive(Debug, Clone)]
pub struct NewProduct {
    pub name: ProductName,
    pub description: Description,
    pub price: Price,
    pub stock: Stock,
    pub category: Option<CategoryId>,
}

/// A partial update; fields that are `None` keep their values.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    pub name: Option<ProductName>,
    pub description: Option<Description>,
    pub price: Option<Price>,
    pub stock: Option<Stock>,
    /// `Some(None)` removes the product from its category.
    pub category: Option<Option<CategoryId>>,
}
