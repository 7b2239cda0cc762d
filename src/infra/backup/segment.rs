//! Segments: archived WAL frames in a backup place, `wal/<generation>/<epoch>-<first frame>`.
//!
//! A segment is a line with the SHA-256 of the rest, a line of JSON ([`SegmentHeader`]), and the frames of the WAL,
//! compressed by zstd. Most frames repeat a page of an earlier one with few changes, so each page is stored as its
//! exclusive or with its previous version in the segment (`delta`).
//!
//! Frames never change, so a segment that is stored twice after a crash has the same beginning. Segments of an epoch may
//! overlap, but leave no gap: a merged one (`merge`) has the name of its first part and contains all frames and commit
//! times of its parts, which are deleted after it is stored.

use std::{collections::BTreeSet, fmt, str::FromStr};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use object_store::{ObjectStoreExt, path::Path as Name};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Base, Place, delta};
use crate::{
    core::{
        clock::Timestamp,
        error::{Error, Result},
    },
    infra::db::sqlite::wal::{Chunk, CommitTime, Header, Position},
};

/// The folder of the segments in a place.
const FOLDER: &str = "wal";

/// The version of the format.
const FORMAT: u32 = 1;

/// How many segments are read at a time. Each may have 64 MiB.
const READ_AHEAD: usize = 2;

/// The server that compresses is busy when the WAL grows fast. Level 1 takes 1.5 times as long and saves an eighth.
const COMPRESSION_LEVEL: i32 = -1;

/// The name of a segment. The order of the names is that of the frames.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SegmentName {
    pub generation: String,
    pub epoch: u32,
    /// The number of frames of the epoch before this segment.
    pub first: u32,
}

impl SegmentName {
    /// Returns the name of the segment that begins at a position.
    pub fn at(position: &Position) -> SegmentName {
        SegmentName {
            generation: position.generation.clone(),
            epoch: position.epoch,
            first: position.frames,
        }
    }

    fn in_folder(&self, folder: Name) -> Name {
        let file = format!("{:08}-{:010}", self.epoch, self.first);
        folder.join(&*self.generation).join(file)
    }

    fn parse(generation: &str, file: &str) -> Option<SegmentName> {
        let (epoch, first) = file.split_once('-')?;
        Some(SegmentName {
            generation: generation.to_owned(),
            epoch: u32::from_str(epoch).ok()?,
            first: u32::from_str(first).ok()?,
        })
    }
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.in_folder(Name::from(FOLDER)).as_ref())
    }
}

/// What a segment contains.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SegmentHeader {
    pub format: u32,
    /// The header of the WAL, with its salts.
    pub wal: Header,
    /// The number of frames of the epoch before this segment.
    pub first: u32,
    /// The length of the previous epoch in frames, if the generation has one.
    pub previous_frames: Option<u32>,
    /// The commits: the frame that ends each, counted from 1 in the epoch, and its time (unix ms).
    pub commits: Vec<(u32, i64)>,
}

/// The frames of a segment, and what describes them.
#[derive(Debug, Clone)]
pub struct Segment {
    pub header: SegmentHeader,
    pub frames: Vec<u8>,
}

impl From<Chunk> for Segment {
    fn from(chunk: Chunk) -> Segment {
        let header = SegmentHeader {
            format: FORMAT,
            first: chunk.start.frames,
            previous_frames: chunk.start.previous_frames,
            wal: chunk.start.header,
            commits: chunk.commits.iter().map(|it| (it.frame, it.at.0)).collect(),
        };
        Segment {
            header,
            frames: chunk.frames,
        }
    }
}

impl Segment {
    /// Returns what is stored.
    pub async fn encode(self) -> Result<Bytes> {
        tokio::task::spawn_blocking(move || self.encode_now())
            .await
            .map_err(Error::internal)?
    }

    fn encode_now(mut self) -> Result<Bytes> {
        let header = serde_json::to_vec(&self.header).map_err(Error::internal)?;
        delta::subtract(&mut self.frames, &self.header.wal);
        let frames = zstd::bulk::compress(&self.frames, COMPRESSION_LEVEL);
        let frames = frames.map_err(Error::internal)?;
        let content = [&*header, b"\n", &*frames].concat();
        let checksum = checksum(&content);
        Ok([checksum.as_bytes(), b"\n", &*content].concat().into())
    }

    /// Joins segments of one epoch, which leave no gap.
    pub(super) fn join(parts: Vec<Segment>) -> Option<Segment> {
        let mut parts = parts.into_iter();
        let mut joined = parts.next()?;
        for part in parts {
            let end = joined.end();
            joined.frames.extend(part.frames_after(end));
            let commits = part.header.commits.into_iter();
            let later = commits.filter(|(frame, _)| *frame > end);
            joined.header.commits.extend(later);
        }
        Some(joined)
    }

    /// Returns the number of frames of the epoch up to the end of this segment.
    pub(super) fn end(&self) -> u32 {
        let count = self.frames.len() / self.header.wal.frame_size();
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.header.first.saturating_add(count)
    }

    /// Returns the frames after the first `frames` of the epoch, of which there must be at least [`SegmentHeader::first`].
    pub(super) fn frames_after(&self, frames: u32) -> &[u8] {
        let skipped = (frames - self.header.first) as usize * self.header.wal.frame_size();
        self.frames.get(skipped..).unwrap_or_default()
    }

    /// Errors: `CommandFailed` if it is damaged, or a newer version of the program has written it.
    fn parse(bytes: &Bytes) -> Result<Segment> {
        let (expected, content) = next_line(bytes)?;
        if checksum(content).as_bytes() != expected {
            return Err(damaged("its checksum is wrong"));
        }
        let (header, frames) = next_line(content)?;
        let header: SegmentHeader = serde_json::from_slice(header)
            .map_err(|error| damaged(&format!("its header: {error}")))?;
        if header.format > FORMAT {
            return Err(Error::command_failed("a newer version of `shop` wrote it"));
        }
        let mut frames = zstd::decode_all(frames)
            .map_err(|error| damaged(&format!("it cannot be decompressed: {error}")))?;
        delta::add(&mut frames, &header.wal);
        Ok(Segment { header, frames })
    }

    /// Returns the commits, oldest first.
    pub fn commits(&self) -> impl DoubleEndedIterator<Item = CommitTime> {
        let commits = self.header.commits.iter();
        commits.map(|&(frame, at)| CommitTime {
            frame,
            at: Timestamp(at),
        })
    }
}

fn damaged(why: &str) -> Error {
    Error::command_failed(format!("it is damaged: {why}"))
}

/// Returns the first line without its end, and the rest.
fn next_line(bytes: &[u8]) -> Result<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let end = end.ok_or_else(|| damaged("it is cut off"))?;
    Ok((&bytes[..end], &bytes[end + 1..]))
}

fn checksum(content: &[u8]) -> String {
    hex::encode(Sha256::digest(content))
}

impl Place {
    /// Stores a segment durably.
    pub async fn put_segment(&self, name: &SegmentName, segment: Bytes) -> Result<()> {
        let path = name.in_folder(self.segments_folder());
        let put = self.store.put(&path, segment.into()).await;
        put.map(drop)
            .map_err(|error| self.failed(&format!("write `{name}`"), &error))
    }

    /// Reads some segments, several at a time, in this order.
    pub(super) fn read_segments(
        &self,
        names: impl IntoIterator<Item = SegmentName>,
    ) -> impl Stream<Item = (SegmentName, Result<Option<Segment>>)> + Unpin {
        stream::iter(names)
            .map(move |name| async move {
                let segment = self.get_segment(&name).await;
                (name, segment)
            })
            .buffered(READ_AHEAD)
    }

    /// Reads and checks a segment. Returns `None` if there is none. Errors: `CommandFailed` if it is damaged.
    pub async fn get_segment(&self, name: &SegmentName) -> Result<Option<Segment>> {
        let path = name.in_folder(self.segments_folder());
        let found = match self.store.get(&path).await {
            Ok(found) => found.bytes().await,
            Err(error) => Err(error),
        };
        match found {
            Ok(bytes) => tokio::task::spawn_blocking(move || Segment::parse(&bytes))
                .await
                .map_err(Error::internal)?
                .map(Some),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed(&format!("read `{name}`"), &error)),
        }
    }

    /// Returns the segments of a generation from an epoch on.
    pub async fn segments(&self, generation: &str, epoch: u32) -> Result<BTreeSet<SegmentName>> {
        let folder = self.segments_folder().join(generation);
        // In front of the names of the epoch.
        let offset = folder.clone().join(format!("{epoch:08}"));
        self.store
            .list_with_offset(Some(&folder), &offset)
            .try_filter_map(|found| {
                let file = found.location.filename();
                let name = file.and_then(|file| SegmentName::parse(generation, file));
                std::future::ready(Ok(name))
            })
            .try_collect()
            .await
            .map_err(|error| self.failed("list", &error))
    }

    /// Returns the names of the generations, oldest first.
    pub async fn generations(&self) -> Result<Vec<String>> {
        let folder = self.segments_folder();
        let listed = self.store.list_with_delimiter(Some(&folder)).await;
        let listed = listed.map_err(|error| self.failed("list", &error))?;
        let names = listed.common_prefixes.iter();
        let mut names: Vec<String> = names
            .filter_map(|it| Some(it.parts().next_back()?.as_ref().to_owned()))
            .collect();
        names.sort();
        Ok(names)
    }

    /// Returns the time of the last archived commit that follows a base backup, or that it ends with.
    pub async fn last_commit(&self, base: &Base) -> Result<Option<Timestamp>> {
        let names = self.segments(&base.generation, base.epoch).await?;
        for name in names.iter().rev() {
            // If it was merged meanwhile, an earlier one ends with the same commit.
            let segment = self.get_segment(name).await?;
            if let Some(last) = segment.and_then(|segment| segment.commits().next_back()) {
                return Ok(base
                    .is_included_in(name.epoch, last.frame)
                    .then_some(last.at));
            }
        }
        Ok(None)
    }

    /// Deletes a segment. It is not an error if there is none.
    pub(super) async fn delete_segment(&self, name: &SegmentName) -> Result<()> {
        self.delete(&name.in_folder(self.segments_folder())).await
    }

    fn segments_folder(&self) -> Name {
        self.prefix.clone().join(FOLDER)
    }
}
