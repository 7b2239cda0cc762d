//! The filters and sort orders of product lists.

use std::ops::RangeInclusive;

use strum::{Display, EnumString, VariantNames};
use utoipa::openapi::{ObjectBuilder, RefOr, Type, schema::Schema};

use crate::core::pagination::{KeyType, Position, Total};

/// The sort order of a list. Ties are broken by id, in the same direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "camelCase")]
pub enum Sort {
    Price,
    #[strum(serialize = "-price")]
    PriceDown,
    Name,
    #[strum(serialize = "-name")]
    NameDown,
    CreatedAt,
    #[default]
    #[strum(serialize = "-createdAt")]
    CreatedAtDown,
    /// The order of a collection; only with a filter by collection.
    Position,
    /// Best match first; only for searches.
    Relevance,
}

impl Sort {
    /// Returns the type of the sort key in a cursor.
    pub fn key_type(self) -> KeyType {
        match self {
            Sort::Name | Sort::NameDown | Sort::Relevance => KeyType::Text,
            Sort::Price
            | Sort::PriceDown
            | Sort::CreatedAt
            | Sort::CreatedAtDown
            | Sort::Position => KeyType::Number,
        }
    }

    pub(super) fn is_by_price(self) -> bool {
        matches!(self, Sort::Price | Sort::PriceDown)
    }

    pub(super) fn is_by_time(self) -> bool {
        matches!(self, Sort::CreatedAt | Sort::CreatedAtDown)
    }

    pub(super) fn is_descending(self) -> bool {
        matches!(self, Sort::PriceDown | Sort::NameDown | Sort::CreatedAtDown)
    }
}

impl utoipa::PartialSchema for Sort {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(Sort::VARIANTS.iter().copied()))
            .into()
    }
}

impl utoipa::ToSchema for Sort {}

/// The filters of a list; a product must match all of them.
#[derive(Debug, Clone, Default)]
pub struct Filters {
    /// An id or a slug; an unknown one matches nothing.
    pub category: Option<String>,
    /// An id or a slug; an unknown one matches nothing.
    pub collection: Option<String>,
    /// Inclusive, in the currency's minor unit.
    pub min_price: Option<i64>,
    /// Inclusive, in the currency's minor unit.
    pub max_price: Option<i64>,
    /// `false` matches sold-out products only.
    pub in_stock: Option<bool>,
    /// The SKU of a variant; an unknown one matches nothing.
    pub sku: Option<String>,
    /// The search text.
    pub q: Option<String>,
    pub sort: Sort,
}

impl Filters {
    /// Returns whether the total has to be counted because no stored counter holds it.
    pub fn needs_count(&self) -> bool {
        self.prices().is_some()
            || self.in_stock.is_some()
            || self.collection.is_some()
            || self.q.is_some()
    }

    /// Returns the range of prices if there is a filter by price.
    pub(super) fn prices(&self) -> Option<RangeInclusive<i64>> {
        let (min, max) = (self.min_price, self.max_price);
        min.or(max)
            .map(|_| min.unwrap_or(0)..=max.unwrap_or(i64::MAX))
    }

    /// Returns a text that is the same for all lists with the same filters and sort order.
    pub fn scope(&self) -> String {
        format!(
            "products {:?} {:?} {:?} {:?} {:?} {:?} {:?} {}",
            self.category,
            self.collection,
            self.min_price,
            self.max_price,
            self.in_stock,
            self.sku,
            self.q,
            self.sort
        )
    }
}

/// The result of a list apart from its rows.
#[derive(Debug)]
pub enum ListOutcome {
    Page(Total),
    /// The position after which the next page starts; `None` at the end.
    Cursor(Option<Position>),
}
