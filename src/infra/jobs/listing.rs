//! Background jobs as `shop admin jobs` lists them, across all queues.

use serde::Serialize;
use uuid::Uuid;

use super::job::JobState;
use crate::core::clock::Timestamp;

/// The maximum number of listed jobs per kind and state.
pub const MAX_LISTED: i64 = 200;

/// A background job.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BackgroundJob {
    pub id: Uuid,
    /// In kebab-case, e.g. `send-refund`.
    pub kind: &'static str,
    /// The subject: an email address, or the id of an order or an image.
    pub subject: String,
    pub state: JobState,
    /// The time of the next attempt; `None` if there is none.
    pub due_at: Option<Timestamp>,
    pub attempts: i64,
    pub last_error: Option<String>,
}
