//! Events: emitted inside a transaction, published to live clients after the commit.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::core::{
    clock::Timestamp,
    error::Result,
    id::{ProductId, VariantId},
};

/// The new stock of one product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StockChange {
    pub id: ProductId,
    pub stock_quantity: i64,
    /// Present and `true` if the product was deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub deleted: bool,
    /// The variants whose stock has changed; only for products with options.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub variants: Vec<VariantStock>,
}

/// The new stock of a variant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VariantStock {
    pub id: VariantId,
    pub stock_quantity: i64,
    /// Present and `true` if the variant was deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub deleted: bool,
}

impl VariantStock {
    /// Returns the change to a new stock quantity.
    pub fn now(id: VariantId, stock_quantity: i64) -> Self {
        VariantStock {
            id,
            stock_quantity,
            deleted: false,
        }
    }

    /// Returns the change of a deleted variant.
    pub fn deleted(id: VariantId) -> Self {
        VariantStock {
            id,
            stock_quantity: 0,
            deleted: true,
        }
    }
}

impl StockChange {
    /// Returns the change to a new stock quantity.
    pub fn now(id: ProductId, stock_quantity: i64) -> Self {
        StockChange {
            id,
            stock_quantity,
            deleted: false,
            variants: Vec::new(),
        }
    }

    /// Returns the change of a product's stock by that of a variant with options.
    pub fn of_variant(id: ProductId, stock_quantity: i64, variant: VariantStock) -> Self {
        StockChange {
            variants: vec![variant],
            ..StockChange::now(id, stock_quantity)
        }
    }

    /// Returns the change of a deleted product.
    pub fn deleted(id: ProductId) -> Self {
        StockChange {
            id,
            stock_quantity: 0,
            deleted: true,
            variants: Vec::new(),
        }
    }
}

/// An event as an operation emits it inside its transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Stock changes of up to [`Event::MAX_PRODUCTS`] products.
    Inventory(Vec<StockChange>),
}

impl Event {
    /// The maximum number of changes in one event.
    pub const MAX_PRODUCTS: usize = 200;
}

/// A committed event with its sequence number.
#[derive(Debug)]
pub struct Committed {
    /// The position in commit order: from 1, without gaps.
    pub seq: i64,
    pub at: Timestamp,
    pub changes: Vec<StockChange>,
    message: OnceLock<Bytes>,
}

impl Committed {
    pub fn new(seq: i64, at: Timestamp, changes: Vec<StockChange>) -> Committed {
        Committed {
            seq,
            at,
            changes,
            message: OnceLock::new(),
        }
    }

    /// Returns the serialised message about this event. The first client that needs it builds it, and the others
    /// share it.
    pub fn message(&self, build: impl FnOnce(&Committed) -> Result<Bytes>) -> Result<Bytes> {
        if let Some(message) = self.message.get() {
            return Ok(message.clone());
        }
        let message = build(self)?;
        Ok(self.message.get_or_init(|| message).clone())
    }
}

/// A serialised message, and the position of its receiver after it.
#[derive(Debug, Clone)]
pub struct Positioned {
    pub seq: i64,
    pub json: Bytes,
}

/// Consecutive committed events, and the messages that merge them.
#[derive(Debug, Default)]
pub struct EventRange {
    pub events: Vec<Arc<Committed>>,
    merged: OnceLock<Vec<Positioned>>,
}

impl EventRange {
    pub fn new(events: Vec<Arc<Committed>>) -> EventRange {
        EventRange {
            events,
            merged: OnceLock::new(),
        }
    }

    /// Returns whether the range continues a position without a gap.
    pub fn starts_after(&self, seq: i64) -> bool {
        self.events
            .first()
            .is_some_and(|first| first.seq == seq + 1)
    }

    /// Returns the merged messages. The first client that needs them builds them, and the others share them.
    pub fn merged(&self, build: impl FnOnce() -> Result<Vec<Positioned>>) -> Result<&[Positioned]> {
        if let Some(messages) = self.merged.get() {
            return Ok(messages);
        }
        let messages = build()?;
        Ok(self.merged.get_or_init(|| messages))
    }
}
