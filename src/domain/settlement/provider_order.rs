//! The order at the provider, without which a customer cannot pay. The worker creates it after checkout. If the
//! customer pays before that, the payment route creates it.

use super::apply::apply;
use crate::{
    core::{error::Result, id::OrderId, money::Money, shop_settings::ShopSettings},
    domain::payments,
    infra::{
        db::Tx,
        ports::{
            Gateway,
            gateway::{GatewayError, OrderRequest},
        },
    },
};

/// Creates an order at the provider, outside a transaction. Returns the provider's id.
pub(super) async fn create_provider_order(
    gateway: &dyn Gateway,
    settings: &ShopSettings,
    id: OrderId,
    amount: Money,
) -> Result<String, GatewayError> {
    let request = OrderRequest {
        amount,
        currency: settings.currency.code(),
        receipt: id.to_string(),
    };
    gateway.create_order(&request).await
}

/// Records the provider's id of an order, and applies the events that named it before. If two were created
/// concurrently, the first one is kept.
pub(super) fn record_provider_order(
    tx: &mut Tx<'_>,
    gateway: &dyn Gateway,
    id: OrderId,
    provider_order_id: &str,
) -> Result<()> {
    let effects = payments::record_provider_order(tx, gateway, id, provider_order_id)?;
    apply(tx, gateway, &effects)
}
