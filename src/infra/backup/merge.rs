//! Merges the segments of the WAL archive, of which one is stored every second, so that a place has few objects.
//!
//! A merged segment replaces the first of its parts, in one step. Then the other parts are deleted. If that is
//! interrupted, they overlap the merged segment, which readers accept, and a later merge deletes them.

use std::{collections::BTreeSet, mem};

use futures_util::StreamExt;

use super::{Place, Segment, SegmentName};
use crate::core::error::{Kind, Result};

/// The number of unmerged segments that triggers a merge.
pub const PARTS: usize = 100;

/// The starts of segments that become one are fewer frames apart than this: 8 MiB with pages of 4 KiB. A segment that is
/// known to have as many stays as it is.
const LARGE: u32 = 2048;

/// What was merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Merged {
    /// The number of segments that were joined to an earlier one.
    pub parts: usize,
    /// The first epoch that may have something to merge later.
    pub epoch: u32,
}

/// Merges the small segments of a generation, from an epoch on. A damaged segment stays as it is, and is logged.
///
/// Errors: `Unavailable`, `StorageFull`.
pub async fn merge(place: &Place, generation: &str, epoch: u32) -> Result<Merged> {
    let mut segments = place.segments(generation, epoch).await?;
    // The newest one stays: the archiver may be about to store it again, and lists of backups read it.
    let Some(newest) = segments.pop_last() else {
        return Ok(Merged { parts: 0, epoch });
    };
    let mut parts = 0;
    for group in groups(segments, &newest) {
        parts += merge_group(place, &group).await?;
    }
    Ok(Merged {
        parts,
        epoch: newest.epoch,
    })
}

/// Splits segments into groups, each to become one segment; `newest` follows them. While the epoch of the last group is
/// open, the group may grow, so it is merged only once it has [`PARTS`] segments.
fn groups(segments: BTreeSet<SegmentName>, newest: &SegmentName) -> Vec<Vec<SegmentName>> {
    let (mut groups, mut group) = (Vec::new(), Vec::<SegmentName>::new());
    let followers = segments.iter().skip(1).chain([newest]).cloned();
    let followers: Vec<SegmentName> = followers.collect();
    for (name, next) in segments.into_iter().zip(followers) {
        let is_near = |first: &SegmentName, other: &SegmentName| {
            first.epoch == other.epoch && other.first - first.first < LARGE
        };
        let is_large = next.epoch == name.epoch && !is_near(&name, &next);
        let is_next = |first: &SegmentName| is_near(first, &name) && !is_large;
        if !group.first().is_none_or(is_next) {
            groups.push(mem::take(&mut group));
        }
        group.push(name);
    }
    let is_open = group.last().is_some_and(|last| last.epoch == newest.epoch);
    if !is_open || group.len() >= PARTS {
        groups.push(group);
    }
    groups.retain(|group| group.len() > 1);
    groups
}

/// Merges segments, up to a damaged one. Returns how many became parts.
async fn merge_group(place: &Place, names: &[SegmentName]) -> Result<usize> {
    let parts = read_intact_prefix(place, names).await?;
    let (first, others) = match &names[..parts.len()] {
        [first, others @ ..] if !others.is_empty() => (first, others),
        _ => return Ok(0),
    };
    let Some(merged) = Segment::join(parts) else {
        return Ok(0);
    };
    place.put_segment(first, merged.encode().await?).await?;
    // In this order, so that those that remain after an interruption are the newest.
    for name in others {
        place.delete_segment(name).await?;
    }
    Ok(others.len())
}

/// Reads segments, up to the first one that is damaged, or does not continue those before.
async fn read_intact_prefix(place: &Place, names: &[SegmentName]) -> Result<Vec<Segment>> {
    let mut segments = place.read_segments(names.to_vec());
    let (mut parts, mut end) = (Vec::new(), names[0].first);
    while let Some((name, read)) = segments.next().await {
        match read {
            Ok(Some(segment)) if segment.header.first <= end => {
                end = end.max(segment.end());
                parts.push(segment);
            }
            // Frames are missing, or retention has deleted it.
            Ok(_) => break,
            Err(error) if error.kind() == Kind::CommandFailed => {
                tracing::error!(
                    path = place.path_of(&name.to_string()),
                    why = error.detail(),
                    "a WAL segment in the backup place is unusable; points in time after it can be restored from a later backup only"
                );
                break;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(parts)
}
