//! Stock types: causes, movements and deltas, and the error for insufficient stock.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize};
use strum::{EnumString, IntoStaticStr};
use utoipa::openapi::{
    KnownFormat, ObjectBuilder, OneOfBuilder, RefOr, SchemaFormat, Type, schema::Schema,
};
use uuid::Uuid;

use super::problems::{INSUFFICIENT_STOCK, VARIANT_REQUIRED};
use crate::core::{
    clock::Timestamp,
    column::text_columns,
    error::{Error, Field, Result},
    id::{OrderId, ProductId, VariantId},
    money::{Quantity, Stock, bound, whole_number},
    text::short_texts,
};

/// Why stock changed.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, EnumString, IntoStaticStr, Serialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
#[schema(as = StockCause)]
pub enum Cause {
    Create,
    Admin,
    Order,
    Cancel,
    Expiry,
    Refund,
    Import,
    /// `shop verify --repair` recorded a missing movement.
    Repair,
}

text_columns!(Cause);

/// A variant whose stock changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StockedVariant {
    pub id: VariantId,
    pub product: ProductId,
    /// Whether it has a stock of its own, which is part of the product's. Without options its stock is the product's.
    pub has_own_stock: bool,
}

/// A stock movement: one change to one variant's stock.
#[derive(Debug, Clone, Copy)]
pub struct Movement<'a> {
    pub product: ProductId,
    pub variant: VariantId,
    pub delta: i64,
    pub cause: Cause,
    pub order: Option<OrderId>,
    pub note: Option<&'a str>,
}

impl Movement<'_> {
    /// Returns a movement of the variant that every product without options has.
    pub fn of(cause: Cause, product: ProductId, delta: i64) -> Self {
        Movement::of_variant(cause, product, product.default_variant(), delta)
    }

    pub fn of_variant(cause: Cause, product: ProductId, variant: VariantId, delta: i64) -> Self {
        Movement {
            product,
            variant,
            delta,
            cause,
            order: None,
            note: None,
        }
    }

    /// Returns the id of the variant unless it is that of the product.
    pub(super) fn other_variant(&self) -> Option<VariantId> {
        (self.variant != self.product.default_variant()).then_some(self.variant)
    }
}

/// A stock movement that was recorded.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = StockMovement)]
pub struct RecordedMovement {
    pub id: Uuid,
    pub product_id: ProductId,
    pub variant_id: VariantId,
    pub product_name: String,
    pub delta: i64,
    pub cause: Cause,
    /// The order that took or returned the units.
    #[schema(required)]
    pub order_id: Option<OrderId>,
    /// The reason that an admin gave.
    #[schema(required)]
    pub note: Option<String>,
    pub at: Timestamp,
}

/// A change of stock by an admin: from −10^9 to 10^9, not 0.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Delta(i64);

impl Delta {
    pub(super) fn get(self) -> i64 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Delta {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        whole_number(from)
    }
}

impl TryFrom<i64> for Delta {
    type Error = String;

    fn try_from(value: i64) -> Result<Self, String> {
        if value != 0 && value.abs_diff(0) <= Stock::MAX.unsigned_abs() {
            Ok(Delta(value))
        } else {
            Err("must be a whole number from -1000000000 to 1000000000, not 0".to_owned())
        }
    }
}

impl utoipa::PartialSchema for Delta {
    fn schema() -> RefOr<Schema> {
        let range = |from, to| {
            ObjectBuilder::new()
                .schema_type(Type::Integer)
                .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
                .minimum(Some(bound(from)))
                .maximum(Some(bound(to)))
        };
        OneOfBuilder::new()
            .item(range(1, Stock::MAX))
            .item(range(-Stock::MAX, -1))
            .into()
    }
}

impl utoipa::ToSchema for Delta {}

short_texts! {
    /// Why an admin changes stock.
    Reason
}

/// The units of a variant that a line item takes from stock.
#[derive(Debug, Clone, Copy)]
pub struct Taken {
    pub variant: StockedVariant,
    pub quantity: Quantity,
    /// The stock before the order; at least `quantity`.
    pub stock: i64,
    /// The stock of the product before the order.
    pub product_stock: i64,
}

/// The units of a variant that a line item ordered.
#[derive(Debug, Clone, Copy)]
pub struct OrderedUnits {
    pub product: ProductId,
    pub variant: VariantId,
    pub quantity: Quantity,
}

/// A variant of which fewer units are left than requested.
#[derive(Debug)]
pub struct Shortage<'a> {
    /// The field of the request.
    pub field: String,
    pub product: ProductId,
    /// `None` for the variant of a product without options.
    pub variant: Option<VariantId>,
    pub name: Cow<'a, str>,
    pub requested: i64,
    pub available: i64,
}

impl Shortage<'_> {
    fn message(&self) -> String {
        format!("{} left, {} requested", self.available, self.requested)
    }
}

/// Returns the `variant-required` error, with one field for each variant: its product, its id, its title and its stock.
pub fn variant_required(
    variants: impl Iterator<Item = ((ProductId, VariantId), String, i64)>,
) -> Error {
    let fields = variants.map(|((product, variant), title, stock)| Field {
        product_id: Some(product),
        variant_id: Some(variant),
        available: Some(stock),
        ..Field::new("variantId", VARIANT_REQUIRED.code(), title)
    });
    VARIANT_REQUIRED
        .error("the product has several variants")
        .with_fields(fields.collect())
}

/// Returns the `insufficient-stock` error, with one field per shortage.
pub fn insufficient(shortages: &[Shortage<'_>]) -> Error {
    let products = shortages.iter();
    let products: Vec<_> = products
        .map(|short| format!("`{}` ({})", short.name, short.message()))
        .collect();
    let products = products.join(", ");
    let fields = shortages.iter().map(|short| Field {
        product_id: Some(short.product),
        variant_id: short.variant,
        requested: Some(short.requested),
        available: Some(short.available),
        ..Field::new(
            short.field.clone(),
            INSUFFICIENT_STOCK.code(),
            short.message(),
        )
    });
    INSUFFICIENT_STOCK
        .error(format!("not enough of {products}; nothing was changed"))
        .with_fields(fields.collect())
}
