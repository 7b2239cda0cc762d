//! Exponential backoff: the delay before a failed attempt is repeated.

use std::time::Duration;

/// The longest delay between two attempts of a background job.
pub const MAX_BACKOFF: Duration = Duration::from_mins(10);

/// Returns the exponential backoff after `attempts` failed attempts: 1, 2, 4 … seconds, at most
/// [`MAX_BACKOFF`].
pub fn backoff(attempts: i64) -> Duration {
    let doublings = u32::try_from(attempts - 1).unwrap_or_default().min(20);
    Duration::from_secs(1 << doublings).min(MAX_BACKOFF)
}
