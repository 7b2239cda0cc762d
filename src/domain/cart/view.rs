//! The cart, as its owner sees it.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Line, total};
use crate::{
    core::{
        error::Result,
        id::{ProductId, VariantId},
        money::{Currency, Money, Price, Quantity},
    },
    domain::catalog::{Image, VariantOptions},
};

/// A customer's cart.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cart {
    pub items: Vec<CartItem>,
    /// The sum of the quantities.
    pub item_count: i64,
    /// In the currency's minor unit; at most 2^53 − 1.
    pub total_amount: Money,
    /// Present and `true` if the total exceeds `totalAmount`. Such a cart cannot be ordered.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub total_is_capped: bool,
    /// ISO 4217.
    #[schema(example = "INR", pattern = "^[A-Z]{3}$")]
    pub currency: &'static str,
}

/// A cart line.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CartItem {
    /// The id of the variant.
    pub id: VariantId,
    pub product: CartProduct,
    pub variant: CartVariant,
    pub quantity: Quantity,
    pub unit_price: Price,
    pub line_total: Money,
}

/// A variant in a cart.
#[derive(Debug, Serialize, ToSchema)]
pub struct CartVariant {
    pub id: VariantId,
    #[schema(required)]
    pub sku: Option<String>,
    /// The values of the options, joined by ` / `.
    pub title: String,
    pub options: VariantOptions,
}

/// A product in a cart, with the price and the stock of the variant.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CartProduct {
    pub id: ProductId,
    pub name: String,
    pub price: Price,
    pub images: Vec<Image>,
    pub stock_quantity: i64,
}

impl Cart {
    /// Returns the cart with these lines, whose prices are in `currency`.
    pub(super) fn new(lines: Vec<Line>, currency: Currency) -> Result<Cart> {
        let (total_amount, total_is_capped) = total(&lines)?;
        let items = lines
            .into_iter()
            .map(CartItem::new)
            .collect::<Result<Vec<_>>>()?;
        Ok(Cart {
            item_count: items.iter().map(|item| item.quantity.get()).sum(),
            items,
            total_amount,
            total_is_capped,
            currency: currency.code(),
        })
    }
}

impl CartItem {
    fn new(line: Line) -> Result<CartItem> {
        Ok(CartItem {
            id: line.variant,
            quantity: line.quantity,
            unit_price: line.price,
            line_total: line.price.times(line.quantity)?,
            product: CartProduct {
                id: line.product,
                name: line.name,
                price: line.price,
                images: line.images,
                stock_quantity: line.stock,
            },
            variant: CartVariant {
                id: line.variant,
                sku: line.sku,
                title: line.options.title(),
                options: line.options,
            },
        })
    }
}
