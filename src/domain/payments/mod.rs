//! Payments: one for each order, its refunds, and every event of the provider with its raw body.
//!
//! A webhook may be repeated, late, lost or out of order. Events are therefore applied by the payment's current
//! state and the uniqueness of the provider's payment id, never by their order of arrival.

mod event;
mod failed_refund;
mod find;
pub mod http;
mod issue_refund;
mod ledger;
mod open;
mod outcome;
mod payment;
pub mod problems;
mod process;
mod provider_jobs;
mod receive;
mod record_result;
mod refund;
mod resolve;
mod status;
mod store;
mod verify;

pub use self::{
    event::{Delivery, DeliveryResult, Effect},
    failed_refund::{drop_refund, order_of_refund, retry_refund},
    find::{known_payments, list, lock_payment, of_orders, queued_refund, totals, unmatched_count},
    issue_refund::refund,
    ledger::{KnownPayment, LedgerEntry, ListedStatus, Note, Resolution, Totals},
    open::{PaymentDraft, check_amount, draft, open},
    outcome::{Mismatch, Outcome},
    payment::Payment,
    provider_jobs::{CREATE_PROVIDER_ORDER, QueuedRefund, SEND_REFUND, provider_queue},
    receive::receive,
    record_result::{record_provider_order, record_refund_failure, record_refund_result},
    refund::{Refund, RefundCause, RefundStatus, Refunded},
    resolve::resolve,
    status::PaymentStatus,
    verify::verify,
};
