//! The variant, which is the unit of sale, as the API shows it, and its changes.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::{
    ToSchema,
    openapi::{ObjectBuilder, RefOr, Type, schema::Schema},
};

use super::{
    options::{NewOption, ProductOptions, Selection, VariantOptions},
    product::{Description, Product, ProductName},
    stock::StockedVariant,
};
use crate::{
    core::{
        clock::Timestamp,
        error::Result,
        id::{CategoryId, CollectionId, ImageId, ProductId, VariantId},
        money::{Price, Stock, bounded_integer},
        text,
    },
    domain::media::Image,
};

bounded_integer! {
    /// The weight of one unit in grams.
    Weight, 0, 1_000_000_000
}

bounded_integer! {
    /// The place of a variant among those of its product. Variants at the same place are ordered by id.
    VariantPosition, 0, 1_000_000
}

impl VariantPosition {
    pub(super) const FIRST: VariantPosition = VariantPosition(0);
}

/// The maximum number of variants of a product.
pub(super) const MAX_VARIANTS: usize = 200;

/// The longest code of a variant, in characters.
const MAX_CODE: usize = 64;

/// A code of a variant, such as its SKU or barcode: a visible text without control characters.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct VariantCode(String);

impl TryFrom<String> for VariantCode {
    type Error = String;

    fn try_from(code: String) -> Result<Self, String> {
        text::up_to(&code, MAX_CODE).map(VariantCode)
    }
}

impl VariantCode {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl utoipa::PartialSchema for VariantCode {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(MAX_CODE))
            .pattern(Some(text::PATTERN))
            .into()
    }
}

impl ToSchema for VariantCode {}

/// A variant of a product.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Variant {
    pub id: VariantId,
    pub product_id: ProductId,
    /// The values of the options, joined by ` / `.
    pub title: String,
    pub options: VariantOptions,
    /// The stock keeping unit; unique in the shop.
    #[schema(required)]
    pub sku: Option<String>,
    /// GTIN (EAN, UPC) or another code that scanners read.
    #[schema(required)]
    pub barcode: Option<String>,
    /// In the currency's minor unit.
    pub price: Price,
    /// An earlier or recommended price to show beside `price`.
    #[schema(required)]
    pub compare_at_price: Option<Price>,
    /// ISO 4217.
    #[schema(example = "INR", pattern = "^[A-Z]{3}$")]
    pub currency: &'static str,
    pub stock_quantity: i64,
    #[schema(required)]
    pub weight_grams: Option<Weight>,
    pub requires_shipping: bool,
    /// One of the product's images.
    #[schema(required)]
    pub image_id: Option<ImageId>,
    pub position: VariantPosition,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Variant {
    /// Returns where its stock is.
    pub fn stocked(&self) -> StockedVariant {
        StockedVariant {
            id: self.id,
            product: self.product_id,
            has_own_stock: !self.options.is_empty(),
        }
    }
}

/// Returns the name of a product with the title of a variant, if it has one.
pub fn full_name<'a>(product: &'a str, title: &str) -> Cow<'a, str> {
    if title.is_empty() {
        return Cow::Borrowed(product);
    }
    Cow::Owned(format!("{product}, {title}"))
}

/// A product with its variants.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProductWithVariants {
    #[serde(flatten)]
    pub product: Product<'static>,
    pub options: ProductOptions,
    pub variants: Vec<Variant>,
    /// The collections that it is part of.
    pub collection_ids: Vec<CollectionId>,
}

/// A variant with its product.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct VariantWithProduct {
    #[serde(flatten)]
    pub variant: Variant,
    pub product: VariantProduct,
}

/// The product of a variant.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct VariantProduct {
    pub id: ProductId,
    pub name: String,
    pub slug: String,
    pub images: Vec<Image>,
}

/// The input for creating a variant.
#[derive(Debug, Clone)]
pub struct NewVariant {
    pub sku: Option<VariantCode>,
    pub barcode: Option<VariantCode>,
    /// The values by the names of the product's options.
    pub options: Selection,
    pub price: Price,
    pub compare_at_price: Option<Price>,
    pub stock: Stock,
    pub weight: Option<Weight>,
    pub requires_shipping: bool,
    pub image: Option<ImageId>,
    /// `None` appends it.
    pub position: Option<VariantPosition>,
}

impl NewVariant {
    /// Returns a variant with this price, and nothing else that is optional.
    pub fn at(price: Price) -> NewVariant {
        NewVariant {
            sku: None,
            barcode: None,
            options: Selection::new(),
            price,
            compare_at_price: None,
            stock: Stock::NONE,
            weight: None,
            requires_shipping: true,
            image: None,
            position: None,
        }
    }
}

/// The input for creating a product with variants.
#[derive(Debug, Clone)]
pub struct NewProductWithVariants {
    pub name: ProductName,
    pub description: Description,
    pub category: Option<CategoryId>,
    /// None for a product with a single variant.
    pub options: Vec<NewOption>,
    pub variants: Vec<NewVariant>,
}

/// A partial update; fields that are `None` keep their values, and `Some(None)` removes a value.
#[derive(Debug, Clone, Default)]
pub struct VariantChanges {
    pub sku: Option<Option<VariantCode>>,
    pub barcode: Option<Option<VariantCode>>,
    pub price: Option<Price>,
    pub compare_at_price: Option<Option<Price>>,
    pub stock: Option<Stock>,
    pub weight: Option<Option<Weight>>,
    pub requires_shipping: Option<bool>,
    pub image: Option<Option<ImageId>>,
    pub position: Option<VariantPosition>,
    pub options: Option<Selection>,
}
