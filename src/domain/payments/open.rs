//! Opens the payment of a new order.

use super::{CREATE_PROVIDER_ORDER, Payment, PaymentStatus, problems::AMOUNT_TOO_SMALL, store};
use crate::{
    core::{error::Result, id::OrderId, money::Money},
    infra::{db::Tx, jobs::NewJob, ports::Gateway},
};

/// The payment of a new order, without its amount and not written yet.
pub struct PaymentDraft {
    payment: Payment,
    min_amount: Money,
}

/// Returns a draft of the payment of a new order. Checkout never waits for the provider: if creating the provider's
/// order needs the network, a job does it after the commit.
pub fn draft(tx: &Tx<'_>, gateway: &dyn Gateway, order: OrderId) -> PaymentDraft {
    PaymentDraft {
        payment: Payment {
            id: tx.id(),
            provider: gateway.name().to_owned(),
            provider_order_id: gateway.offline_order_id(tx.now(), tx.rng()),
            status: PaymentStatus::Created,
            amount: Money::ZERO,
            refunded_amount: Money::ZERO,
            transaction_id: None,
            refunds: Vec::new(),
            order,
            is_duplicate: false,
        },
        min_amount: gateway.min_amount(),
    }
}

impl PaymentDraft {
    /// Returns the payment of this amount. Errors: as [`check_amount`].
    pub fn with_amount(self, amount: Money) -> Result<Payment> {
        check_amount(self.min_amount, amount)?;
        Ok(Payment {
            amount,
            ..self.payment
        })
    }
}

/// Checks that an amount is not below the minimum of its provider.
///
/// Errors: `amount-too-small`.
pub fn check_amount(min: Money, amount: Money) -> Result<()> {
    if amount >= min {
        return Ok(());
    }
    let detail = format!(
        "the payment provider accepts no amount below {} (minor unit)",
        min.get()
    );
    Err(AMOUNT_TOO_SMALL.error(detail))
}

/// Inserts the payment of a new order, and queues a job if the provider's order is yet to be created.
pub fn open(tx: &mut Tx<'_>, payment: &Payment) -> Result<()> {
    store::insert(tx, payment)?;
    if payment.provider_order_id.is_some() {
        return Ok(());
    }
    let due_at = tx.now();
    tx.enqueue(&NewJob {
        kind: CREATE_PROVIDER_ORDER,
        subject: payment.order.0,
        payload: &payment.provider,
        due_at,
    })
}
