//! What is still to be told to a provider that needs the network: orders to make, refunds to send. It is
//! told outside any transaction; of several instances one takes each, and leaves it to the others when
//! it has had time enough.

use std::time::Duration;

use super::{Effect, Payment, RefundStatus, event, refund, store};
use crate::{
    app::App,
    core::{
        clock::{LONGEST_PAUSE, Timestamp, back_off},
        error::{Error, Result},
        id::{OrderId, RefundId},
        money::Money,
    },
    infra::db::Tx,
};

/// How long a try is left alone; longer than any takes.
const CLAIM: Duration = Duration::from_mins(2);

/// An order that the provider does not know yet.
#[derive(Debug, Clone)]
pub struct OrderDue {
    pub order: OrderId,
    pub amount: Money,
    pub tries: i64,
}

/// A refund that the provider was not told of yet.
#[derive(Debug, Clone)]
pub struct RefundDue {
    pub refund: RefundId,
    pub order: OrderId,
    /// The provider's id of the payment.
    pub transaction_id: String,
    pub amount: Money,
    pub tries: i64,
    /// The same id, where the payment is not the order's own.
    pub(super) duplicate: Option<String>,
}

impl RefundDue {
    /// The payment that it is of, held.
    fn hold(&self, tx: &mut Tx<'_>) -> Result<Payment> {
        super::hold_account(tx, self.order, self.duplicate.as_deref())?
            .ok_or_else(|| Error::internal("a refund without a payment"))
    }
}

/// Whether there is something to take.
pub fn is_any_due(tx: &mut Tx<'_>, provider: &str) -> Result<bool> {
    let absurd = absurd(tx);
    store::is_any_due(tx, provider, absurd)
}

/// Takes up to `most` orders that are to be made at the provider.
pub fn take_orders(tx: &mut Tx<'_>, provider: &str, most: i64) -> Result<Vec<OrderDue>> {
    let orders = store::orders_due(tx, provider, absurd(tx), most)?;
    let until = tx.now().plus(CLAIM);
    for due in &orders {
        store::claim_order(tx, due.order, until)?;
    }
    Ok(orders)
}

/// Takes up to `most` refunds that are to be sent to the provider.
pub fn take_refunds(tx: &mut Tx<'_>, provider: &str, most: i64) -> Result<Vec<RefundDue>> {
    let refunds = store::refunds_due(tx, provider, absurd(tx), most)?;
    let until = tx.now().plus(CLAIM);
    for due in &refunds {
        store::claim_refund(tx, due.refund, until)?;
    }
    Ok(refunds)
}

/// No time that is due lies further ahead than this.
fn absurd(tx: &Tx<'_>) -> Timestamp {
    tx.now().plus(LONGEST_PAUSE * 2)
}

/// Writes down what the provider calls an order, unless it has a name already; gives what came of money
/// that was told of before its order was known.
pub fn note_order(
    tx: &mut Tx<'_>,
    app: &App,
    order: OrderId,
    provider_order_id: &str,
) -> Result<Vec<Effect>> {
    super::hold(tx, order)?;
    store::name_order(tx, order, app.gateway.name(), provider_order_id)?;
    event::known_now(tx, app, provider_order_id)
}

/// Writes down why an order was not made, and lets it be made later.
pub fn put_off_order(tx: &mut Tx<'_>, due: &OrderDue, why: &str) -> Result<()> {
    let next = tx.now().plus(back_off(due.tries));
    store::put_off_order(tx, due.order, Some(next), Some(why))
}

/// No order is to be made there any more.
pub fn stop_making(tx: &mut Tx<'_>, order: OrderId) -> Result<()> {
    store::put_off_order(tx, order, None, None)
}

/// Writes down what the provider made of a refund: its id, and whether the money has left, if that is
/// known. A webhook may have told before.
pub fn note_refund(
    tx: &mut Tx<'_>,
    due: &RefundDue,
    provider_refund_id: &str,
    succeeded: Option<bool>,
) -> Result<Effect> {
    let payment = due.hold(tx)?;
    let of_this = payment.refunds.iter().find(|it| it.id == due.refund);
    let Some(it) = of_this.filter(|it| it.status == RefundStatus::Pending) else {
        return Ok(Effect::None);
    };
    match succeeded {
        Some(true) => refund::process(tx, &payment, it, provider_refund_id).map(Effect::Refunded),
        Some(false) => {
            refund::fail(tx, &payment, it.id, "the provider says that it failed")?;
            Ok(Effect::None)
        }
        None => {
            store::name_refund(tx, it.id, provider_refund_id)?;
            Ok(Effect::None)
        }
    }
}

/// Writes down why a refund was not taken, and lets it be sent later where that may help.
pub fn put_off_refund(tx: &mut Tx<'_>, due: &RefundDue, is_final: bool, why: &str) -> Result<()> {
    let payment = due.hold(tx)?;
    let of_this = payment.refunds.iter().find(|it| it.id == due.refund);
    if of_this.is_none_or(|it| it.status != RefundStatus::Pending) {
        // A webhook has told meanwhile.
        return Ok(());
    }
    if is_final {
        return refund::fail(tx, &payment, due.refund, why);
    }
    let next = tx.now().plus(back_off(due.tries));
    store::put_off_refund(tx, due.refund, next, why)
}
