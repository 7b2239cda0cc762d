//! Background work: expires unpaid orders, calls the provider, and reconciles on demand.

mod expiry;
mod gateway_queue;
mod reconcile;

pub use self::{
    expiry::expire_due,
    gateway_queue::{CreateOrder, SendRefund, fail_unclaimed},
    reconcile::{RECONCILED_PERIOD, Reconciled, reconcile},
};
