//! A queued deletion, and the time limits of the queue.

use std::time::Duration;

use uuid::Uuid;

use crate::core::{clock::Timestamp, id::ImageId};

/// The time between putting an image into the store and linking it to a product.
pub(super) const UPLOAD_TIMEOUT: Duration = Duration::from_hours(1);

/// The lease of a claimed deletion; longer than any attempt takes.
pub(super) const LEASE: Duration = Duration::from_mins(2);

/// A claimed deletion: remove every file of an image from the image store.
#[derive(Debug, Clone)]
pub(super) struct Deletion {
    pub(super) image: ImageId,
    /// The number of attempts, including the current one.
    pub(super) attempts: i64,
}

/// Returns whether an upload of this image can still be in progress.
pub(super) fn may_be_uploading(image: ImageId, now: Timestamp) -> bool {
    created_at(image.0) >= now.minus(UPLOAD_TIMEOUT)
}

/// Returns the creation time of a `UUIDv7`: its first 48 bits, in Unix milliseconds (RFC 9562, section 5.7).
fn created_at(id: Uuid) -> Timestamp {
    let (high, _) = id.as_u64_pair();
    Timestamp(i64::try_from(high >> 16).unwrap_or(i64::MAX))
}
