//! Payments: one for each order, its refunds, and every event of the provider with its raw body.
//!
//! A webhook may be repeated, late, lost or out of order. Events are therefore applied by the payment's current
//! state and the uniqueness of the provider's payment id, never by their order of arrival.

mod event;
mod find;
mod gateway_queue;
pub mod http;
mod issue_refund;
mod jobs;
mod ledger;
mod list;
mod open;
mod outcome;
mod payment;
mod process;
mod queued;
mod receive;
mod refund;
mod resolution;
mod resolve;
mod status;
mod store;
mod verify;

pub use self::{
    event::{Delivery, Effect, Receipt},
    find::{lock_payment, of_orders},
    gateway_queue::{
        cancel_order, claim_orders, claim_refunds, has_due, record_order, record_refund,
        reschedule_order, reschedule_refund,
    },
    issue_refund::refund,
    jobs::{drop_job, jobs, retry_job},
    ledger::{KnownPayment, LedgerEntry, ListedStatus, Totals},
    list::{known_payments, list, totals},
    open::{check_amount, draft, open},
    outcome::{Mismatch, Outcome},
    payment::Payment,
    queued::{QueuedOrder, QueuedRefund},
    receive::receive,
    refund::{Refund, RefundCause, RefundStatus, Refunded},
    resolution::{Note, Resolution},
    resolve::resolve,
    status::PaymentStatus,
    verify::verify,
};
pub use crate::infra::ports::gateway::razorpay::signature;
