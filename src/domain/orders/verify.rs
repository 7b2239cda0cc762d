//! Checks the invariants of orders. All of them concern money, so none is ever repaired automatically.

use super::store::{self, Mismatch};
use crate::{
    core::{
        error::Result,
        finding::{Finding, Findings},
    },
    infra::db::Tx,
};

/// Reports the orders that break an invariant.
pub fn verify(tx: &mut Tx<'_>, findings: &mut Findings) -> Result<()> {
    let found = store::without_items(tx)?.into_iter();
    let found = found.map(|order| {
        let total = order.order_value;
        let message = format!("it has no line items but costs {total}; look for them in a backup");
        about(&order, message)
    });
    findings.record("order-items", found);

    let found = store::wrong_totals(tx)?.into_iter();
    let found = found.map(|order| {
        let (total, lines) = (order.order_value, order.other_value);
        let remedy = "the confirmation email states the agreed total";
        let message = format!("the total is {total}, its line items sum to {lines}; {remedy}");
        about(&order, message)
    });
    findings.record("order-total", found);

    let found = store::payment_mismatched(tx)?.into_iter();
    let found = found.map(|order| {
        let total = order.order_value;
        let message = match order.other_value {
            Some(amount) => format!(
                "its payment is {amount}, not {total}; compare with the provider's dashboard"
            ),
            None => format!("it has no payment of {total}; look for one in a backup"),
        };
        about(&order, message)
    });
    findings.record("order-payment", found);

    let found = store::status_mismatched(tx)?.into_iter();
    let found = found.map(|order| {
        let (status, payment) = (&order.order_value, &order.other_value);
        let remedy = "`shop admin payments reconcile` asks the provider";
        let message = format!("it is {status}, its payment {payment}; {remedy}");
        about(&order, message)
    });
    findings.record("order-status", found);
    Ok(())
}

fn about<A, B>(order: &Mismatch<A, B>, message: String) -> Finding {
    Finding::new(format!("order {} {}", order.number, order.id), message)
}
