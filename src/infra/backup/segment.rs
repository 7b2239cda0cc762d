//! Segments: archived WAL frames in a backup place, `wal/<generation>/<epoch>-<first frame>`.
//!
//! A segment is one line of JSON ([`SegmentHeader`]) and the frames as `SQLite` wrote them. Frames never change, so a
//! segment that is stored twice after a crash has the same beginning; segments may overlap.

use std::{fmt, str::FromStr};

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::{ObjectStoreExt, path::Path as Name};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Base, Place};
use crate::{
    core::{
        clock::Timestamp,
        error::{Error, Kind, Result},
    },
    infra::db::sqlite::wal::{Chunk, CommitTime, Header, Position},
};

/// The folder of the segments in a place.
const FOLDER: &str = "wal";

/// The version of the format.
const FORMAT: u32 = 1;

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
    /// The number of frames of the epoch before this one, if the generation has one.
    pub previous_frames: Option<u32>,
    /// The commits: the frame that ends each, counted from 1 in the epoch, and its time (unix ms).
    pub commits: Vec<(u32, i64)>,
    /// The checksum of the frames.
    pub sha256: String,
}

/// A segment that was read and checked.
#[derive(Debug, Clone)]
pub struct Segment {
    pub header: SegmentHeader,
    pub frames: Bytes,
}

impl Segment {
    /// Encodes frames as a segment.
    pub fn encode(chunk: &Chunk) -> Result<Bytes> {
        let header = SegmentHeader {
            format: FORMAT,
            wal: chunk.start.header.clone(),
            first: chunk.start.frames,
            previous_frames: chunk.start.previous_frames,
            commits: chunk.commits.iter().map(|it| (it.frame, it.at.0)).collect(),
            sha256: hex::encode(Sha256::digest(&chunk.frames)),
        };
        let mut bytes = serde_json::to_vec(&header).map_err(Error::internal)?;
        bytes.push(b'\n');
        bytes.extend(&chunk.frames);
        Ok(bytes.into())
    }

    /// Errors: `CommandFailed` if it is damaged, or a newer version of the program has written it.
    fn parse(bytes: &Bytes) -> Result<Segment> {
        let damaged = |why: &str| Error::command_failed(format!("it is damaged: {why}"));
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let end = end.ok_or_else(|| damaged("it has no header"))?;
        let header: SegmentHeader = serde_json::from_slice(&bytes[..end])
            .map_err(|error| damaged(&format!("its header: {error}")))?;
        if header.format > FORMAT {
            return Err(Error::command_failed("a newer version of `shop` wrote it"));
        }
        let frames = bytes.slice(end + 1..);
        if hex::encode(Sha256::digest(&frames)) != header.sha256 {
            return Err(damaged("its checksum is wrong"));
        }
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

impl Place {
    /// Stores a segment durably.
    pub async fn put_segment(&self, name: &SegmentName, segment: Bytes) -> Result<()> {
        let path = name.in_folder(self.segments_folder());
        let put = self.store.put(&path, segment.into()).await;
        put.map(drop)
            .map_err(|error| self.failed(&format!("write `{name}`"), &error))
    }

    /// Reads and checks a segment. Errors: `CommandFailed` if it is damaged or missing.
    pub async fn get_segment(&self, name: &SegmentName) -> Result<Segment> {
        let path = name.in_folder(self.segments_folder());
        let found = match self.store.get(&path).await {
            Ok(found) => found.bytes().await,
            Err(error) => Err(error),
        };
        match found {
            Ok(bytes) => Segment::parse(&bytes),
            Err(object_store::Error::NotFound { .. }) => {
                Err(Error::new(Kind::CommandFailed, "it is missing"))
            }
            Err(error) => Err(self.failed(&format!("read `{name}`"), &error)),
        }
    }

    /// Returns the segments of a generation, in order.
    pub async fn segments(&self, generation: &str) -> Result<Vec<SegmentName>> {
        let folder = self.segments_folder().join(generation);
        let mut names: Vec<SegmentName> = self
            .store
            .list(Some(&folder))
            .try_filter_map(|found| {
                let file = found.location.filename();
                let name = file.and_then(|file| SegmentName::parse(generation, file));
                std::future::ready(Ok(name))
            })
            .try_collect()
            .await
            .map_err(|error| self.failed("list", &error))?;
        names.sort();
        Ok(names)
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

    /// Returns the time of the last archived commit that follows a base backup.
    pub async fn last_commit(&self, base: &Base) -> Result<Option<Timestamp>> {
        let names = self.segments(&base.generation).await?;
        for name in names
            .iter()
            .rev()
            .take_while(|name| name.epoch >= base.epoch)
        {
            if let Some(last) = self.get_segment(name).await?.commits().next_back() {
                return Ok(Some(last.at));
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
