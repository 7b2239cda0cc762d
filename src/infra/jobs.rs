//! Background work as operators see it, whichever queue it waits in.

use serde::Serialize;
use uuid::Uuid;

use crate::core::clock::Timestamp;

/// How many jobs of one kind are listed.
pub const MAX_LISTED: i64 = 200;

/// Whether a job is still attempted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    Waiting,
    /// Given up: a person has to retry or drop it.
    Dead,
}

impl JobState {
    pub fn as_str(self) -> &'static str {
        match self {
            JobState::Waiting => "waiting",
            JobState::Dead => "dead",
        }
    }
}

/// One job of a queue.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BackgroundJob {
    pub id: Uuid,
    /// In kebab-case, e.g. `send-refund`.
    pub kind: &'static str,
    /// What it is about: an address, or the id of an order or an image.
    pub subject: String,
    pub state: JobState,
    /// When it is attempted next; `None`: never.
    pub due_at: Option<Timestamp>,
    pub attempts: i64,
    pub last_error: Option<String>,
}
