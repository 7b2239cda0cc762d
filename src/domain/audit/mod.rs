//! The audit log for admins. Entries are written by `infra::audit`, in the transactions of the changes.

pub mod http;
