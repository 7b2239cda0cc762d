//! Deletes the oldest archives of a place, and the images and WAL segments that only they needed.

use std::{collections::BTreeSet, time::Duration};

use super::{Base, Place, Stored};
use crate::{
    core::{
        clock::Timestamp,
        error::{Kind, Result},
    },
    infra::db::migrate,
};

/// Images younger than this are kept: another command may be about to write the archive that names them.
const MIN_IMAGE_AGE: Duration = Duration::from_hours(24);

/// What was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removed {
    pub archives: usize,
    pub images: usize,
    pub segments: usize,
}

/// Keeps the `keep` newest archives, and the newest one with the schema of an earlier version: it is the way back from
/// the last upgrade. Deletes the others, the images that no kept archive names, and the WAL segments that lead from none
/// of the `keep` newest to a later moment.
///
/// Errors: `Unavailable`. If a kept archive cannot be read, no image is deleted.
pub async fn retain(place: &Place, keep: usize, now: Timestamp) -> Result<Removed> {
    let archives = place.archives().await?;
    let mut removed = Removed {
        archives: 0,
        images: 0,
        segments: 0,
    };
    if archives.len() <= keep {
        return Ok(removed);
    }
    let oldest_recent = archives.get(keep - 1).map(|it| it.created_at);
    let Sorted {
        expired,
        in_use,
        bases,
    } = sort(place, archives, keep).await?;
    if expired.is_empty() {
        return Ok(removed);
    }
    // The archives go first, so that none is left without its images.
    for archive in &expired {
        place.delete_archive(archive).await?;
    }
    removed.archives = expired.len();
    let oldest_base = bases.into_iter().next();
    // A restore to a moment between two archives needs images that neither names.
    let archived_since = oldest_recent.filter(|_| oldest_base.is_some());
    let oldest = archived_since.unwrap_or(now).minus(MIN_IMAGE_AGE);
    for (name, image) in place.images().await? {
        if image.stored_at < oldest && !in_use.contains(&name) {
            place.delete_image(&image).await?;
            removed.images += 1;
        }
    }
    // Without a base backup, generations that began before the oldest archive are of no use.
    let began = || oldest_recent.map(|it| Base::start_of(it.basic()));
    if let Some(oldest) = oldest_base.or_else(began) {
        removed.segments = delete_segments(place, &oldest).await?;
    }
    Ok(removed)
}

/// Deletes the archive before the one at this path, if both have the same contents.
///
/// Errors: `Unavailable`; `CommandFailed` if one of them is damaged.
pub async fn remove_repetition(place: &Place, path: &str) -> Result<()> {
    let mut archives = place.archives().await?.into_iter();
    let newer = archives.find(|archive| place.path_of(&archive.name) == path);
    let (Some(newer), Some(older)) = (newer, archives.next()) else {
        return Ok(());
    };
    let newer = place.manifest(&newer.name).await?;
    if place.manifest(&older.name).await?.has_contents_of(&newer) {
        place.delete_archive(&older.name).await?;
    }
    Ok(())
}

/// Deletes the segments that no restore needs whose base backup is `oldest` or a later one.
async fn delete_segments(place: &Place, oldest: &Base) -> Result<usize> {
    let mut deleted = 0;
    for generation in place.generations().await? {
        if generation > oldest.generation {
            break;
        }
        for name in place.segments(&generation, 0).await? {
            if (&name.generation, name.epoch) < (&oldest.generation, oldest.epoch) {
                place.delete_segment(&name).await?;
                deleted += 1;
            }
        }
    }
    Ok(deleted)
}

/// The archives of a place that expire, and what the others need.
struct Sorted {
    expired: Vec<String>,
    /// The images of all others.
    in_use: BTreeSet<String>,
    /// The positions of the recent ones in the WAL archive, oldest first.
    bases: Vec<Base>,
}

/// `archives` are sorted from the newest to the oldest.
async fn sort(place: &Place, archives: Vec<Stored>, keep: usize) -> Result<Sorted> {
    let current = i64::from(migrate::latest_version());
    let mut sorted = Sorted {
        expired: Vec::new(),
        in_use: BTreeSet::new(),
        bases: Vec::new(),
    };
    let mut has_earlier_schema = false;
    for (position, Stored { name, .. }) in archives.into_iter().enumerate() {
        let is_recent = position < keep;
        if !is_recent && has_earlier_schema {
            sorted.expired.push(name);
            continue;
        }
        let manifest = match place.manifest(&name).await {
            // An old one that is damaged is of no use.
            Err(error) if !is_recent && error.kind() == Kind::CommandFailed => {
                sorted.expired.push(name);
                continue;
            }
            read => read?,
        };
        if !is_recent && manifest.schema >= current {
            sorted.expired.push(name);
            continue;
        }
        has_earlier_schema |= manifest.schema < current;
        sorted.in_use.extend(manifest.images.names);
        if is_recent {
            sorted.bases.extend(manifest.base);
        }
    }
    sorted.bases.sort();
    Ok(sorted)
}
