//! What the shop tells its listeners, once it is committed.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::core::{clock::Timestamp, id::ProductId};

/// The stock of one product after a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StockChange {
    pub id: ProductId,
    pub stock_quantity: i64,
    /// Present and `true` where the product has left the catalog.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub deleted: bool,
}

impl StockChange {
    pub fn now(id: ProductId, stock_quantity: i64) -> Self {
        StockChange {
            id,
            stock_quantity,
            deleted: false,
        }
    }

    pub fn deleted(id: ProductId) -> Self {
        StockChange {
            id,
            stock_quantity: 0,
            deleted: true,
        }
    }
}

/// What happened, as an operation tells it inside its transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Products whose stock changed; at most [`Event::MOST_PRODUCTS`] of them.
    Inventory(Vec<StockChange>),
}

impl Event {
    pub const MOST_PRODUCTS: usize = 200;
}

/// An event with its place in the order of commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Contiguous, from 1.
    pub seq: i64,
    pub at: Timestamp,
    pub changes: Vec<StockChange>,
}
