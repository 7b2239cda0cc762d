//! The variant, which is the unit of sale, as the API shows it, and its changes.

use serde::{Deserialize, Serialize};
use utoipa::{
    ToSchema,
    openapi::{ObjectBuilder, RefOr, Type, schema::Schema},
};

use super::product::Product;
use crate::{
    core::{
        clock::Timestamp,
        error::{Error, Result},
        id::{ImageId, ProductId, VariantId},
        money::{Price, Stock, bounded_integer},
        text,
    },
    domain::media::Image,
};

bounded_integer! {
    /// The weight of one unit in grams.
    Weight, 0, 1_000_000_000
}

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

/// An option of a variant, for example `M` of `Size`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VariantOption {
    pub name: String,
    pub value: String,
}

/// The options of a variant in the order of the product's options; none if it is the product's only variant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct VariantOptions(Vec<VariantOption>);

impl VariantOptions {
    /// Returns the values, joined by ` / `.
    pub fn title(&self) -> String {
        let values: Vec<&str> = self.0.iter().map(|option| option.value.as_str()).collect();
        values.join(" / ")
    }

    /// Parses the column that [`VariantOptions::to_json`] has written.
    pub fn from_json(column: &str) -> Result<VariantOptions> {
        if column == "[]" {
            return Ok(VariantOptions::default());
        }
        let options = serde_json::from_str(column).map_err(Error::internal)?;
        Ok(VariantOptions(options))
    }

    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(&self.0).map_err(Error::internal)
    }
}

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
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A product with its variants.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ProductWithVariants {
    #[serde(flatten)]
    pub product: Product<'static>,
    pub variants: Vec<Variant>,
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
}
