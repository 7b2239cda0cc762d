//! The deletion jobs of images, and their time limits.

use std::time::Duration;

use uuid::Uuid;

use crate::{
    core::{clock::Timestamp, id::ImageId},
    infra::jobs::Queue,
};

/// The time between putting an image into the store and linking it to a product.
pub const UPLOAD_TIMEOUT: Duration = Duration::from_hours(1);

/// The kind of the jobs that delete every file of an image from the image store. Their subject is the image's id.
pub const DELETE_IMAGE: &str = "delete-image";

/// The deletion jobs.
pub(super) const QUEUE: Queue = Queue {
    max_delay: UPLOAD_TIMEOUT.saturating_mul(2),
    ..Queue::of(DELETE_IMAGE)
};

/// Returns whether an upload of this image can still be in progress.
pub(super) fn may_be_uploading(image: ImageId, now: Timestamp) -> bool {
    created_at(image.0) >= now.minus(UPLOAD_TIMEOUT)
}

/// Returns the creation time of a `UUIDv7`: its first 48 bits, in Unix milliseconds (RFC 9562, section 5.7).
fn created_at(id: Uuid) -> Timestamp {
    let (high, _) = id.as_u64_pair();
    Timestamp(i64::try_from(high >> 16).unwrap_or(i64::MAX))
}
