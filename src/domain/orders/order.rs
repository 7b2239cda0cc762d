//! The order and its lines, as the API shows them.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{OrderNumber, Status};
use crate::{
    core::{
        clock::Timestamp,
        id::{OrderId, OrderItemId, ProductId, UserId, VariantId},
        money::{Money, Price, Quantity},
    },
    domain::{
        catalog::{self, VariantOptions},
        payments::Payment,
    },
};

/// An order, as its customer and admins see it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    pub id: OrderId,
    /// The number that people use, e.g. `7K3M-9QXD`.
    #[schema(value_type = String, example = "7K3M-9QXD")]
    pub number: OrderNumber,
    pub user_id: UserId,
    pub status: Status,
    pub items: Vec<OrderItem>,
    /// In the currency's minor unit.
    pub total_amount: Money,
    /// ISO 4217.
    #[schema(example = "INR", pattern = "^[A-Z]{3}$")]
    pub currency: &'static str,
    pub payment: Payment,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A line item with the product's name and price at the time of purchase.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrderItem {
    pub id: OrderItemId,
    pub variant_id: VariantId,
    pub product_id: ProductId,
    #[schema(required)]
    pub sku: Option<String>,
    /// The values of the options, joined by ` / `.
    pub title: String,
    pub options: VariantOptions,
    pub name: String,
    pub price: Price,
    pub quantity: Quantity,
    pub line_total: Money,
}

impl Order {
    /// Returns the ordered units of each line item.
    pub(super) fn units(&self) -> Vec<catalog::OrderedUnits> {
        self.items
            .iter()
            .map(|item| catalog::OrderedUnits {
                product: item.product_id,
                variant: item.variant_id,
                quantity: item.quantity,
            })
            .collect()
    }
}

/// Returns the id of a line item, which is not stored: that of the order with the position in the last byte. A cart has at
/// most 100 lines.
pub(super) fn item_id(order: OrderId, position: usize) -> OrderItemId {
    let mut bytes = *order.0.as_bytes();
    bytes[15] = u8::try_from(position).unwrap_or(u8::MAX);
    OrderItemId(Uuid::from_bytes(bytes))
}

/// Returns the smallest id that an order placed at `timestamp` can have: ids begin with the milliseconds of
/// `created_at` (`UUIDv7`, RFC 9562).
pub fn first_id(timestamp: Timestamp) -> OrderId {
    let milliseconds = u128::from(timestamp.0.max(0).unsigned_abs());
    OrderId(Uuid::from_u128(milliseconds << 80))
}
