//! Checks the invariants of payments. All of them concern money, so none is ever repaired automatically.

use super::{CREATE_PROVIDER_ORDER, RefundStatus, SEND_REFUND, store};
use crate::{
    core::{
        error::Result,
        finding::{Finding, Findings},
        id::OrderId,
    },
    infra::{
        db::Tx,
        jobs::{JobState, missing_row},
    },
};

const RECONCILE: &str = "`shop admin payments reconcile` asks the provider";
const DASHBOARD: &str = "look at the provider's dashboard";

/// Reports the payments that break an invariant.
pub fn verify(tx: &mut Tx<'_>, findings: &mut Findings) -> Result<()> {
    let found = store::over_refunded(tx)?.into_iter();
    let found = found.map(|(order, refunded, captured)| {
        let message = format!("its refunds sum to {refunded}, captured is {captured}; {DASHBOARD}");
        about(order, message)
    });
    findings.record("refunds-within-captured", found);

    let found = store::captures_mismatched(tx)?.into_iter();
    let found = found.map(|payment| about(payment.order, capture_message(&payment)));
    findings.record("payment-captured", found);

    let found = store::refund_status_mismatched(tx)?.into_iter();
    let found = found.map(|(order, status, amount, refunded)| {
        let message =
            format!("it is {status}, and {refunded} of {amount} was refunded; {RECONCILE}");
        about(order, message)
    });
    findings.record("payment-refunded", found);

    let found = store::unrefunded_duplicates(tx)?.into_iter();
    let found = found.map(|(order, transaction, paid, refunded)| {
        let message = format!(
            "duplicate payment {transaction}: {paid} was paid, {refunded} is refunded; {DASHBOARD}"
        );
        about(order, message)
    });
    findings.record("duplicate-refunded", found);
    verify_jobs(tx, findings)
}

/// Reports refunds without the job that they need, and jobs without a refund or a payment.
fn verify_jobs(tx: &mut Tx<'_>, findings: &mut Findings) -> Result<()> {
    let refunds = store::refunds_without_job(tx)?.into_iter();
    let refunds = refunds.map(|(id, status)| {
        let (status, state) = match status {
            RefundStatus::Failed => ("failed and not resolved", JobState::Dead),
            RefundStatus::Pending | RefundStatus::Processed => ("not sent", JobState::Waiting),
        };
        let (state, remedy) = (
            state.as_str(),
            format!("`shop admin jobs retry {id}` requests it"),
        );
        let message = format!("it is {status}, but has no {state} job; {remedy}");
        Finding::new(format!("refund {id}"), message)
    });
    let jobs = store::jobs_without_refund(tx)?.into_iter();
    let jobs = jobs.map(|(id, state)| missing_row(SEND_REFUND, id, state, "refund"));
    findings.record("refund-job", refunds.chain(jobs));

    let jobs = store::jobs_without_payment(tx)?.into_iter();
    let jobs = jobs.map(|(id, state)| missing_row(CREATE_PROVIDER_ORDER, id, state, "payment"));
    findings.record("gateway-order-job", jobs);
    Ok(())
}

fn about(order: OrderId, message: String) -> Finding {
    Finding::new(format!("payment of order {order}"), message)
}

fn capture_message(payment: &store::CaptureMismatch) -> String {
    let (status, amount) = (&payment.status, payment.amount);
    let transaction = payment.transaction.as_deref().unwrap_or("no transaction");
    let state = format!("it is {status} by {transaction}, {amount}");
    let captured = payment.captured_amount.unwrap_or_default();
    let captured_by = payment
        .captured_transaction
        .as_deref()
        .unwrap_or("no transaction");
    match payment.capture_count {
        0 => format!("{state}, and no capture is on record; {RECONCILE}"),
        1 => format!(
            "{state}, and on record is a capture of {captured} by {captured_by}; {DASHBOARD}"
        ),
        several => format!("{state}, and {several} captures are on record; {DASHBOARD}"),
    }
}
