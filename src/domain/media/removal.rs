//! What the store is to lose: pictures whose row is gone, and those that never got one. It is written
//! down before a picture is put, so that whatever fails or dies afterwards leaves a note.

use std::{collections::BTreeSet, time::Duration};

use uuid::Uuid;

use super::{Stored, store};
use crate::{
    core::{
        clock::{LONGEST_PAUSE, Timestamp, back_off},
        error::{Error, Result},
        id::ImageId,
    },
    infra::{db::Tx, jobs::BackgroundJob},
};

/// How long an upload may take until its pictures belong to a product.
const UPLOAD: Duration = Duration::from_hours(1);

/// How long a try is left alone; longer than any takes.
const CLAIM: Duration = Duration::from_mins(2);

/// A picture that the store is to lose.
#[derive(Debug, Clone)]
pub(super) struct Removal {
    pub(super) id: ImageId,
    /// The one that is under way included.
    pub(super) tries: i64,
}

/// Notes that pictures are about to be put.
pub(super) fn announce(tx: &mut Tx<'_>, images: &[ImageId]) -> Result<()> {
    let due = tx.now().plus(UPLOAD);
    images
        .iter()
        .try_for_each(|image| store::note(tx, *image, due))
}

/// Crosses out that note, since a row names the picture from this transaction on. One whose removal
/// has begun is lost.
pub(super) fn cross_out(tx: &mut Tx<'_>, image: &Stored) -> Result<()> {
    if store::cross_out(tx, image.id)? {
        return Ok(());
    }
    Err(Error::unavailable(
        "the upload took too long; send it again",
    ))
}

/// Has pictures removed that no row names; none can name them again, since that takes a note from
/// before they were put.
pub(super) fn order(tx: &mut Tx<'_>, images: &[ImageId]) -> Result<()> {
    let now = tx.now();
    images
        .iter()
        .try_for_each(|image| store::note(tx, *image, now))
}

/// Begins to remove what was put for nothing. What has found its row after all stays.
pub(super) fn take(tx: &mut Tx<'_>, images: &[ImageId]) -> Result<Vec<Removal>> {
    let until = tx.now().plus(CLAIM);
    let mut taken = Vec::new();
    for image in images {
        if store::claim(tx, *image, until)? {
            taken.push(Removal {
                id: *image,
                tries: 1,
            });
        }
    }
    Ok(taken)
}

/// Begins up to `most` removals whose time has come. Nobody else takes them before the try must have
/// ended.
pub(super) fn take_due(tx: &mut Tx<'_>, most: i64) -> Result<Vec<Removal>> {
    let mut due = store::due(tx, absurd(tx), most)?;
    let until = tx.now().plus(CLAIM);
    for removal in &mut due {
        store::claim(tx, removal.id, until)?;
        removal.tries += 1;
    }
    Ok(due)
}

/// Whether there is something to take.
pub(super) fn is_any_due(tx: &mut Tx<'_>) -> Result<bool> {
    let absurd = absurd(tx);
    store::is_any_due(tx, absurd)
}

/// No time that is due lies further ahead: it was written by a clock that was set back since.
fn absurd(tx: &Tx<'_>) -> Timestamp {
    tx.now().plus(UPLOAD * 2)
}

/// Writes down how a try went. With `again` one that went well is not the last: what was still on its
/// way to the store has arrived by the next.
pub(super) fn note(
    tx: &mut Tx<'_>,
    removal: &Removal,
    outcome: &Result<()>,
    again: bool,
) -> Result<()> {
    let now = tx.now();
    match outcome {
        Ok(()) if again => store::retry(tx, removal.id, None, now.plus(LONGEST_PAUSE)),
        Ok(()) => store::removed(tx, removal.id),
        Err(error) => {
            let next = now.plus(back_off(removal.tries));
            store::retry(tx, removal.id, Some(error.detail()), next)
        }
    }
}

/// Those of the ids that no row names, and that are too old for an upload under way.
pub(super) fn orphans(tx: &mut Tx<'_>, ids: &BTreeSet<ImageId>) -> Result<Vec<ImageId>> {
    let before = tx.now().minus(UPLOAD);
    let old: Vec<_> = ids
        .iter()
        .filter(|id| made_at(id.0) < before)
        .copied()
        .collect();
    let known = store::known(tx, &old)?;
    Ok(old.into_iter().filter(|id| !known.contains(id)).collect())
}

/// When an id was made: the first 48 bits of a `UUIDv7` (RFC 9562, section 5.7).
fn made_at(id: Uuid) -> Timestamp {
    let (begin, _) = id.as_u64_pair();
    Timestamp(i64::try_from(begin >> 16).unwrap_or(i64::MAX))
}

/// The images to be deleted, by when that is due.
pub fn removal_jobs(tx: &mut Tx<'_>) -> Result<Vec<BackgroundJob>> {
    store::removal_jobs(tx)
}

/// Has an image deleted now; returns whether it is to be.
pub fn retry_removal(tx: &mut Tx<'_>, image: ImageId) -> Result<bool> {
    store::retry_removal(tx, image)
}
