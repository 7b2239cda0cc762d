//! Jobs, and how the jobs of a kind are run.

use std::time::Duration;

use serde::Serialize;
use strum::{EnumString, IntoStaticStr};
use uuid::Uuid;

use crate::core::{
    backoff::{MAX_BACKOFF, backoff},
    clock::Timestamp,
    column::text_columns,
    rng::Rng,
};

/// The state of a job. A job that succeeds is deleted.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, EnumString, IntoStaticStr,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum JobState {
    /// Queued, or waiting for the next attempt.
    Waiting,
    /// Failed permanently: an operator must retry or delete it.
    Dead,
}

text_columns!(JobState);

/// A job to add to the queue.
#[derive(Debug, Clone, Copy)]
pub struct NewJob<'a> {
    /// In kebab-case, e.g. `send-mail`.
    pub kind: &'static str,
    /// The id of the row that the job is about. A subject has at most one job of each kind.
    pub subject: Uuid,
    /// What decides, besides the kind, which workers claim the job; may be empty.
    pub payload: &'a str,
    pub due_at: Timestamp,
}

/// A job in the queue.
#[derive(Debug, Clone)]
pub struct Job {
    pub kind: String,
    pub subject: Uuid,
    pub payload: String,
    pub state: JobState,
    pub due_at: Timestamp,
    /// The number of attempts, including the current one.
    pub attempts: i64,
    /// The error of the last attempt, if it failed.
    pub last_error: Option<String>,
    /// When the job was queued, or when an operator last retried it.
    pub retrying_since: Timestamp,
}

/// How many jobs of a kind have a state.
#[derive(Debug, Clone)]
pub struct JobCount {
    pub kind: String,
    pub state: JobState,
    pub count: i64,
    /// The earliest time at which one of them was queued, or last retried by an operator.
    pub oldest: Timestamp,
}

impl JobCount {
    /// Returns how long the oldest has waited.
    pub fn age(&self, now: Timestamp) -> Duration {
        let millis = now.0.saturating_sub(self.oldest.0).max(0);
        Duration::from_millis(millis.unsigned_abs())
    }
}

/// Why an attempt failed.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Whether another attempt would fail, too.
    pub is_permanent: bool,
    pub why: String,
}

/// Which jobs a worker claims, and when.
#[derive(Debug, Clone, Copy)]
pub struct Queue {
    pub kind: &'static str,
    /// Only jobs with this payload are claimed.
    pub payload: &'static str,
    /// How many jobs are claimed at a time; they run concurrently.
    pub concurrency: i64,
    pub poll_interval: Duration,
    /// How long a claimed job is reserved for one attempt; longer than any attempt takes.
    pub lease: Duration,
    /// A job that is due later than this was queued before the clock was set back, and is due now.
    pub max_delay: Duration,
    /// Whether backoffs vary by 20 %.
    pub has_jitter: bool,
    /// How long a job is retried before it is dead; `None` retries without end.
    pub retry_window: Option<Duration>,
}

impl Queue {
    /// Returns the queue of a kind with the default settings.
    pub const fn of(kind: &'static str) -> Queue {
        Queue {
            kind,
            payload: "",
            concurrency: 8,
            poll_interval: Duration::from_secs(1),
            lease: Duration::from_mins(2),
            max_delay: MAX_BACKOFF.saturating_mul(2),
            has_jitter: false,
            retry_window: None,
        }
    }

    /// Returns the exponential backoff after this many attempts.
    pub(super) fn backoff(&self, attempts: i64, rng: &Rng) -> Duration {
        if !self.has_jitter {
            return backoff(attempts);
        }
        let percent = u32::try_from(80 + rng.below(41)).unwrap_or(100);
        backoff(attempts) * percent / 100
    }
}
