//! Queues the deletion of images from the image store.
//!
//! A deletion is scheduled before an image is put into the store, and cancelled when a product gets the image.
//! A crash at any point between the two therefore leaves no orphaned file.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::{
    deletion::{DELETE_IMAGE, may_be_uploading},
    store,
};
use crate::{
    core::{
        clock::Timestamp,
        error::{Error, Result},
        id::ImageId,
    },
    infra::{
        db::Tx,
        jobs::{self, Job, NewJob},
    },
};

/// Schedules the deletion of images: of those that are about to be uploaded, in case no product gets them.
pub(super) fn schedule_deletion(
    tx: &mut Tx<'_>,
    images: &[ImageId],
    due_at: Timestamp,
) -> Result<()> {
    images.iter().try_for_each(|image| {
        tx.enqueue(&NewJob {
            kind: DELETE_IMAGE,
            subject: image.0,
            payload: "",
            due_at,
        })
    })
}

/// Queues images without a `product_images` row for immediate deletion. No product can get them any more,
/// since linking an image requires the deletion that was scheduled before its upload.
pub(super) fn delete_now(tx: &mut Tx<'_>, images: &[ImageId]) -> Result<()> {
    let now = tx.now();
    schedule_deletion(tx, images, now)
}

/// Cancels the scheduled deletion of an image that gets linked to a product in this transaction.
///
/// Errors: `unavailable` if the deletion has been attempted, because the files may be gone.
pub(super) fn cancel_deletion(tx: &mut Tx<'_>, image: ImageId) -> Result<()> {
    if jobs::cancel(tx, DELETE_IMAGE, image.0)? {
        return Ok(());
    }
    Err(Error::unavailable(
        "the upload took too long; send it again",
    ))
}

/// Returns those images that no row refers to and that are too old for an upload in progress.
pub(super) fn orphans(tx: &mut Tx<'_>, images: &BTreeSet<ImageId>) -> Result<Vec<ImageId>> {
    let now = tx.now();
    let old: Vec<_> = images
        .iter()
        .filter(|image| !may_be_uploading(**image, now))
        .copied()
        .collect();
    let attached = store::attached(tx, &old)?;
    let ids: Vec<Uuid> = old.iter().map(|image| image.0).collect();
    let queued = jobs::find_all(tx, DELETE_IMAGE, &ids)?;
    Ok(old
        .into_iter()
        .filter(|image| !attached.contains(image) && !queued.contains_key(&image.0))
        .collect())
}

/// Makes a deletion due now. One that was scheduled for an upload in progress keeps its due time.
pub fn retry_deletion(tx: &mut Tx<'_>, job: &Job) -> Result<()> {
    if job.attempts == 0 {
        return Ok(());
    }
    jobs::retry_now(tx, DELETE_IMAGE, job.subject)
}
