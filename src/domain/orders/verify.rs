//! The rules of orders, held against their rows. All of them are about money: it must never mend one.

use super::store::{self, Odd};
use crate::{
    core::{
        error::Result,
        finding::{Finding, Findings},
    },
    infra::db::Tx,
};

/// Tells what breaks a rule.
pub fn verify(tx: &mut Tx<'_>, findings: &mut Findings) -> Result<()> {
    let found = store::without_items(tx)?.into_iter();
    let found = found.map(|odd| {
        let total = odd.one;
        let says = format!("it has no lines and costs {total}; look for them in a backup");
        about(&odd, says)
    });
    findings.enter("order-items", found);

    let found = store::wrong_totals(tx)?.into_iter();
    let found = found.map(|odd| {
        let (total, lines) = (odd.one, odd.other);
        let remedy = "the mail to the customer says what was agreed";
        let says = format!("the total is {total}, its lines sum to {lines}; {remedy}");
        about(&odd, says)
    });
    findings.enter("order-total", found);

    let found = store::unpayable(tx)?.into_iter();
    let found = found.map(|odd| {
        let total = odd.one;
        let says = match odd.other {
            Some(amount) => format!(
                "its payment is {amount}, not {total}; compare with the provider's dashboard"
            ),
            None => format!("it has no payment of {total}; look for one in a backup"),
        };
        about(&odd, says)
    });
    findings.enter("order-payment", found);

    let found = store::astray(tx)?.into_iter();
    let found = found.map(|odd| {
        let (order, payment) = (&odd.one, &odd.other);
        let remedy = "`shop admin payments reconcile` asks the provider";
        let says = format!("it is {order}, its payment {payment}; {remedy}");
        about(&odd, says)
    });
    findings.enter("order-status", found);
    Ok(())
}

fn about<A, B>(odd: &Odd<A, B>, says: String) -> Finding {
    Finding::about(format!("order {} {}", odd.number, odd.id), says)
}
