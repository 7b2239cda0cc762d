//! The metrics of a server, and the listener from which Prometheus reads them (`SHOP_METRICS_LISTEN`).
//!
//! | file | contents |
//! |---|---|
//! | `declared.rs` | the metrics |
//! | `collect.rs` | the values that are determined when they are read: from the database, the process, the disk |
//! | `process.rs` | memory, CPU time and files of the process |
//! | `listener.rs` | `GET /metrics` |
//!
//! Another metric needs a declaration in `declared.rs`, a row in `docs/operations.md` (a test compares the two), and
//! code that records it: where it happens, or in `collect.rs`. A value from the database is read there, by a function
//! of the domain that owns the table.

mod collect;
mod declared;
mod listener;
mod process;

pub(super) use self::declared::{
    HTTP_CONNECTIONS, HTTP_REQUEST_DURATION, HTTP_REQUESTS, RESPONSE_CACHE_REQUESTS,
};
pub use self::{
    declared::{BACKUP_FAILURES, LOG_LINES_DROPPED, all},
    listener::serve,
};
use crate::{core::error::Result, infra::metrics};

/// Begins to record the metrics, before the shop is opened.
pub fn install() -> Result<()> {
    metrics::install(&all().collect::<Vec<_>>())
}
