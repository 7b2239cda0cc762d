//! The queue of images to delete from the image store.
//!
//! A deletion is scheduled before an image is put into the store, and cancelled when a product gets the image.
//! A crash at any point between the two therefore leaves no orphaned file.

use std::collections::BTreeSet;

use super::{
    deletion::{Deletion, LEASE, UPLOAD_TIMEOUT, may_be_uploading},
    store::deletions as store,
};
use crate::{
    core::{
        clock::{MAX_BACKOFF, Timestamp, back_off},
        error::{Error, Result},
        id::ImageId,
    },
    infra::{db::Tx, jobs::BackgroundJob},
};

/// Schedules the deletion of images that are about to be uploaded, in case no product gets them.
pub(super) fn schedule_deletion(tx: &mut Tx<'_>, images: &[ImageId]) -> Result<()> {
    let due = tx.now().plus(UPLOAD_TIMEOUT);
    images
        .iter()
        .try_for_each(|image| store::enqueue(tx, *image, due))
}

/// Cancels the scheduled deletion of an image that gets linked to a product in this transaction.
///
/// Errors: `unavailable` if the deletion has been attempted, because the files may be gone.
pub(super) fn cancel_deletion(tx: &mut Tx<'_>, image: ImageId) -> Result<()> {
    if store::delete_unattempted(tx, image)? {
        return Ok(());
    }
    Err(Error::unavailable(
        "the upload took too long; send it again",
    ))
}

/// Queues images without a `product_images` row for immediate deletion. No product can get them any more,
/// since linking an image requires the deletion that was scheduled before its upload.
pub(super) fn delete_now(tx: &mut Tx<'_>, images: &[ImageId]) -> Result<()> {
    let now = tx.now();
    images
        .iter()
        .try_for_each(|image| store::enqueue(tx, *image, now))
}

/// Claims the scheduled deletions of these images before they are due, after their upload failed. Skips
/// images that a product has got in the meantime.
pub(super) fn claim(tx: &mut Tx<'_>, images: &[ImageId]) -> Result<Vec<Deletion>> {
    let lease_end = tx.now().plus(LEASE);
    let mut claimed = Vec::new();
    for image in images {
        if store::claim(tx, *image, lease_end)? {
            claimed.push(Deletion {
                image: *image,
                attempts: 1,
            });
        }
    }
    Ok(claimed)
}

/// Claims up to `limit` due deletions. Other instances skip them until the lease ends.
pub(super) fn claim_due(tx: &mut Tx<'_>, limit: i64) -> Result<Vec<Deletion>> {
    let mut due = store::due(tx, latest_plausible(tx), limit)?;
    let lease_end = tx.now().plus(LEASE);
    for deletion in &mut due {
        store::claim(tx, deletion.image, lease_end)?;
        deletion.attempts += 1;
    }
    Ok(due)
}

/// Returns whether a deletion is due.
pub(super) fn is_any_due(tx: &mut Tx<'_>) -> Result<bool> {
    let latest = latest_plausible(tx);
    store::is_any_due(tx, latest)
}

/// Returns the latest plausible due time. A later one comes from a clock that has been set back since; such
/// a deletion is due now.
fn latest_plausible(tx: &Tx<'_>) -> Timestamp {
    tx.now().plus(UPLOAD_TIMEOUT * 2)
}

/// Records the outcome of an attempt. With `repeat`, a successful deletion runs once more later, because an
/// upload whose response was lost may reach the store after the deletion.
pub(super) fn record_outcome(
    tx: &mut Tx<'_>,
    deletion: &Deletion,
    outcome: &Result<()>,
    repeat: bool,
) -> Result<()> {
    let now = tx.now();
    match outcome {
        Ok(()) if repeat => store::retry(tx, deletion.image, None, now.plus(MAX_BACKOFF)),
        Ok(()) => store::complete(tx, deletion.image),
        Err(error) => {
            let next = now.plus(back_off(deletion.attempts));
            store::retry(tx, deletion.image, Some(error.detail()), next)
        }
    }
}

/// Returns those images that no row refers to and that are too old for an upload in progress.
pub(super) fn orphans(tx: &mut Tx<'_>, images: &BTreeSet<ImageId>) -> Result<Vec<ImageId>> {
    let now = tx.now();
    let old: Vec<_> = images
        .iter()
        .filter(|image| !may_be_uploading(**image, now))
        .copied()
        .collect();
    let known = store::referenced(tx, &old)?;
    Ok(old
        .into_iter()
        .filter(|image| !known.contains(image))
        .collect())
}

/// Returns the queued deletions in the order of their due times.
pub fn deletion_jobs(tx: &mut Tx<'_>) -> Result<Vec<BackgroundJob>> {
    store::jobs(tx)
}

/// Makes the deletion of an image due now. Returns whether one is queued.
pub fn retry_deletion(tx: &mut Tx<'_>, image: ImageId) -> Result<bool> {
    store::retry_now(tx, image)
}
