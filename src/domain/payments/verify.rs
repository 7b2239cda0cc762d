//! The rules of payments, held against their rows. All of them are about money: it must never mend one.

use super::store;
use crate::{
    core::{
        error::Result,
        finding::{Finding, Findings},
        id::OrderId,
    },
    infra::db::Tx,
};

const ASK: &str = "`shop admin payments reconcile` asks the provider";
const LOOK: &str = "look at the provider's dashboard";

/// Tells what breaks a rule.
pub fn verify(tx: &mut Tx<'_>, findings: &mut Findings) -> Result<()> {
    let found = store::overdrawn(tx)?.into_iter();
    let found = found.map(|(order, back, captured)| {
        let says = format!("its refunds sum to {back}, captured is {captured}; {LOOK}");
        about(order, says)
    });
    findings.enter("refunds-within-captured", found);

    let found = store::unproven(tx)?.into_iter();
    let found = found.map(|payment| about(payment.order, unproven(&payment)));
    findings.enter("payment-captured", found);

    let found = store::misnamed(tx)?.into_iter();
    let found = found.map(|(order, status, amount, back)| {
        let says = format!("it is {status}, and {back} of {amount} came back; {ASK}");
        about(order, says)
    });
    findings.enter("payment-refunded", found);

    let found = store::unrefunded_duplicates(tx)?.into_iter();
    let found = found.map(|(order, transaction, came, back)| {
        let says = format!(
            "the order was paid once more by {transaction}: {came} came, {back} goes back; {LOOK}"
        );
        about(order, says)
    });
    findings.enter("duplicate-refunded", found);
    Ok(())
}

fn about(order: OrderId, says: String) -> Finding {
    Finding::about(format!("payment of order {order}"), says)
}

fn unproven(payment: &store::Unproven) -> String {
    let (status, amount) = (&payment.status, payment.amount);
    let transaction = payment.transaction.as_deref().unwrap_or("no transaction");
    let is = format!("it is {status} by {transaction}, {amount}");
    let captured = payment.captured.unwrap_or_default();
    let captured_as = payment.captured_as.as_deref().unwrap_or("no transaction");
    match payment.captures {
        0 => format!("{is}, and no capture is on record; {ASK}"),
        1 => format!("{is}, and on record is a capture of {captured} by {captured_as}; {LOOK}"),
        several => format!("{is}, and {several} captures are on record; {LOOK}"),
    }
}
