//! Deletes the oldest archives of a place, and the images that only they had.

use std::{collections::BTreeSet, time::Duration};

use super::{Base, Place, Stored};
use crate::core::{clock::Timestamp, error::Result};

/// Images younger than this are kept: another command may be about to write the archive that names them.
const MIN_IMAGE_AGE: Duration = Duration::from_hours(24);

/// What was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    pub archives: usize,
    pub images: usize,
    pub segments: usize,
}

/// Keeps the `keep` newest archives. Deletes the others, and the images that no kept archive names.
///
/// Errors: `Unavailable`. If a kept archive cannot be read, no image is deleted.
pub async fn retain(place: &Place, keep: usize, now: Timestamp) -> Result<Removed> {
    let archives = place.archives().await?;
    let (kept, expired) = archives.split_at(keep.min(archives.len()));
    let mut removed = Removed {
        archives: expired.len(),
        images: 0,
        segments: 0,
    };
    if expired.is_empty() {
        return Ok(removed);
    }
    let (in_use, bases) = manifests(place, kept).await?;
    // The archives go first, so that none is left without its images.
    for archive in expired {
        place.delete_archive(&archive.name).await?;
    }
    // A restore to a moment between two archives needs images that neither names.
    let archived_since = bases.first().and(kept.last()).map(|it| it.created_at);
    let oldest = archived_since.unwrap_or(now).minus(MIN_IMAGE_AGE);
    for (image, stored_at) in place.images().await? {
        if stored_at < oldest && !in_use.contains(&image) {
            place.delete_image(&image).await?;
            removed.images += 1;
        }
    }
    // Without a base backup, generations that began before the oldest archive are of no use.
    let oldest = bases.into_iter().next().or_else(|| {
        let began = kept.last()?.created_at.basic();
        Some(Base::start_of(began))
    });
    if let Some(oldest) = oldest {
        removed.segments = delete_segments(place, &oldest).await?;
    }
    Ok(removed)
}

/// Deletes the segments that no restore needs whose base backup is `oldest` or a later one.
async fn delete_segments(place: &Place, oldest: &Base) -> Result<usize> {
    let mut deleted = 0;
    for generation in place.generations().await? {
        if generation > oldest.generation {
            break;
        }
        for name in place.segments(&generation).await? {
            if (&name.generation, name.epoch) < (&oldest.generation, oldest.epoch) {
                place.delete_segment(&name).await?;
                deleted += 1;
            }
        }
    }
    Ok(deleted)
}

/// Returns the names of the images of these archives, and their positions in the WAL archive, oldest first.
async fn manifests(place: &Place, archives: &[Stored]) -> Result<(BTreeSet<String>, Vec<Base>)> {
    let (mut named, mut bases) = (BTreeSet::new(), Vec::new());
    for archive in archives {
        let manifest = place.manifest(&archive.name).await?;
        named.extend(manifest.images.names);
        bases.extend(manifest.base);
    }
    bases.sort();
    Ok((named, bases))
}
