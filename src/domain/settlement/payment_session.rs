//! The payment session: what a customer's browser needs to open the provider's payment page.

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    core::{error::Result, money::Money},
    domain::{
        orders::{Order, Status, problems::ILLEGAL_TRANSITION},
        payments,
    },
    infra::ports::Gateway,
};

/// The parameters of the provider's payment page.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PaymentSession {
    #[schema(example = "razorpay")]
    pub provider: String,
    /// The shop's public key id at the provider; not a secret.
    pub key_id: String,
    pub provider_order_id: String,
    pub amount: Money,
    /// ISO 4217.
    #[schema(example = "INR", pattern = "^[A-Z]{3}$")]
    pub currency: &'static str,
}

/// Returns the payment session of an order; `None` if the configured provider does not know the order yet.
///
/// Errors: `illegal-transition` if the order is not PENDING; `amount-too-small`.
pub fn payment_session(gateway: &dyn Gateway, order: &Order) -> Result<Option<PaymentSession>> {
    if order.status != Status::Pending {
        let status = order.status.as_str();
        let detail = format!("an order that is {status} cannot be paid");
        return Err(ILLEGAL_TRANSITION.error(detail));
    }
    let payment = &order.payment;
    let is_own = payment.provider == gateway.name();
    let id = payment.provider_order_id.clone().filter(|_| is_own);
    if id.is_none() {
        // The order may have been placed under another provider with another minimum.
        payments::check_amount(gateway.min_amount(), payment.amount)?;
    }
    Ok(id.map(|provider_order_id| PaymentSession {
        provider: payment.provider.clone(),
        key_id: gateway.key_id().to_owned(),
        provider_order_id,
        amount: payment.amount,
        currency: order.currency,
    }))
}
