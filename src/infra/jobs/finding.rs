//! Findings of `shop verify` about jobs.

use uuid::Uuid;

use super::job::JobState;
use crate::core::finding::Finding;

/// Returns the finding for a job whose row is missing. `row` is what the row is, e.g. `refund`.
pub fn missing_row(kind: &str, subject: Uuid, state: JobState, row: &str) -> Finding {
    let remedy = match state {
        JobState::Waiting => "the running server removes it when it is due".to_owned(),
        JobState::Dead => format!("`shop admin jobs drop {subject}` removes it"),
    };
    let message = format!(
        "it is {}, but its {row} is missing; {remedy}",
        state.as_str()
    );
    Finding::new(format!("{kind} job {subject}"), message)
}
