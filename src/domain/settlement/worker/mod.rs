//! Background work: expires unpaid orders, calls the provider, and reconciles on demand.

mod expiry;
mod job_handlers;
mod reconcile;

pub use self::{
    expiry::expire_due,
    job_handlers::{CreateProviderOrder, SendRefund, fail_unclaimed},
    reconcile::{RECONCILED_PERIOD, Reconciled, reconcile},
};
