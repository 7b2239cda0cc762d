//! Settlement: everything that moves money between the provider, payments and orders. It receives webhooks,
//! refunds orders, expires unpaid ones, calls the provider, and reconciles with the provider's record.
//!
//! A payment changes first; its order follows in the same transaction. The provider is never called inside a
//! transaction.

mod apply;
pub mod http;
mod payment_session;
mod provider_order;
mod receive;
mod refund;
mod retry_refund;
mod simulate;
mod worker;

pub use self::{
    http::WEBHOOK_PATH,
    payment_session::{PaymentSession, payment_session},
    receive::receive,
    refund::refund,
    retry_refund::retry_refund,
    simulate::simulate_payment,
    worker::{
        CreateProviderOrder, RECONCILED_PERIOD, Reconciled, SendRefund, expire_due, fail_unclaimed,
        reconcile,
    },
};
