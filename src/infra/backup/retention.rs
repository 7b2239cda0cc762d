//! Deletes the oldest archives of a place, and the images that only they had.

use std::{collections::BTreeSet, time::Duration};

use tokio::runtime::Handle;

use super::{Place, archive};
use crate::core::{
    clock::Timestamp,
    error::{Error, Result},
};

/// Images younger than this are kept: another command may be about to write the archive that names them.
const MIN_IMAGE_AGE: Duration = Duration::from_hours(24);

/// What was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    pub archives: usize,
    pub images: usize,
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
    };
    if expired.is_empty() {
        return Ok(removed);
    }
    let names = kept.iter().map(|it| it.name.clone()).collect();
    let in_use = images_of(place.clone(), names).await?;
    // The archives go first, so that none is left without its images.
    for archive in expired {
        place.delete_archive(&archive.name).await?;
    }
    let oldest = now.minus(MIN_IMAGE_AGE);
    for (image, stored_at) in place.images().await? {
        if stored_at < oldest && !in_use.contains(&image) {
            place.delete_image(&image).await?;
            removed.images += 1;
        }
    }
    Ok(removed)
}

/// Returns the names of the images of these archives.
async fn images_of(place: Place, archives: Vec<String>) -> Result<BTreeSet<String>> {
    let runtime = Handle::current();
    let read = tokio::task::spawn_blocking(move || {
        let mut named = BTreeSet::new();
        for name in archives {
            let manifest = archive::read_manifest(place.read(&name, &runtime)?)?;
            named.extend(manifest.images.names);
        }
        Ok(named)
    });
    read.await.map_err(Error::internal)?
}
