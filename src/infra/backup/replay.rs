//! Restores a moment: applies archived segments to a base backup.

use std::path::Path;

use futures_util::StreamExt;
use tokio::runtime::Handle;

use super::{Base, Place, Segment, SegmentName};
use crate::{
    core::{
        clock::Timestamp,
        error::{Error, Kind, Result},
    },
    infra::db::sqlite::wal::Replay,
};

/// The result of a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replayed {
    /// The database is as of the last commit before the requested time, which was at this time.
    To(Timestamp),
    /// The archive contains no later commit: the database is the base backup.
    Nothing,
    /// The base backup contains commits after the requested time.
    BaseTooNew,
}

/// Applies the archived commits up to and including `until` to `database`, the base backup. Blocks, in a thread of the
/// runtime `runtime`. Calls `progress` with the number of segments.
///
/// Errors: `CommandFailed` if a segment is damaged or missing, with the last moment that can be reached.
pub fn replay(
    place: &Place,
    base: &Base,
    database: &Path,
    until: Option<Timestamp>,
    runtime: &Handle,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Replayed> {
    let names = runtime.block_on(place.segments(&base.generation, base.epoch))?;
    let total = names.len() as u64;
    let mut segments = place.read_segments(names);
    let mut work = Work {
        base,
        database,
        until,
        epoch: None,
        reached: None,
    };
    let mut done = 0;
    while let Some((name, segment)) = runtime.block_on(segments.next()) {
        progress(done, total);
        done += 1;
        let added = segment.and_then(|segment| match segment {
            Some(segment) => work.add(&name, &segment),
            None => work.add_merged(place, &name, runtime),
        });
        match added {
            Ok(Step::Continue) => {}
            Ok(Step::Done) => return work.finish(true),
            // The requested time was reached before the damage.
            Err(error) if error.kind() == Kind::CommandFailed && work.is_at_end() => {
                return work.finish(true);
            }
            Err(error) => return Err(cannot_continue(place, &name, work.reached, &error)),
        }
    }
    work.finish(false)
}

/// Returns the error for a segment that cannot be applied.
fn cannot_continue(
    place: &Place,
    name: &SegmentName,
    reached: Option<Timestamp>,
    error: &Error,
) -> Error {
    if error.kind() != Kind::CommandFailed {
        return error.without_source();
    }
    let (path, why) = (place.path_of(&name.to_string()), error.detail());
    let remedy = match reached {
        Some(at) => format!("the last moment that can be restored before it is `--to {at}`"),
        None => "restore the backup without the archive: name its file".to_owned(),
    };
    Error::command_failed(format!("WAL segment `{path}`: {why}; {remedy}"))
}

enum Step {
    Continue,
    /// The next commit is after the requested time.
    Done,
}

struct Work<'a> {
    base: &'a Base,
    database: &'a Path,
    until: Option<Timestamp>,
    epoch: Option<(u32, Replay)>,
    /// The time of the last commit that the database will have.
    reached: Option<Timestamp>,
}

impl Work<'_> {
    /// Whether a commit at the requested time is included.
    fn is_at_end(&self) -> bool {
        self.until.is_some() && self.reached == self.until
    }

    fn add(&mut self, name: &SegmentName, segment: &Segment) -> Result<Step> {
        let mut replay = self.replay_of(name, segment)?;
        if segment.header.first > replay.frames() {
            return Err(Error::command_failed("the one before it is missing"));
        }
        replay.append(segment.frames_after(replay.frames()))?;
        let mut step = Step::Continue;
        for commit in segment.commits() {
            if self.until.is_some_and(|until| commit.at > until) {
                step = Step::Done;
                break;
            }
            replay.include(commit.frame);
            if self.base.is_included_in(name.epoch, commit.frame) {
                self.reached = Some(commit.at);
            }
        }
        self.epoch = Some((name.epoch, replay));
        Ok(step)
    }

    /// Adds the segment into which a segment was merged after it was listed.
    fn add_merged(&mut self, place: &Place, name: &SegmentName, runtime: &Handle) -> Result<Step> {
        if self.contains(name) {
            return Ok(Step::Continue);
        }
        let missing = || Error::command_failed("it is missing");
        let names = runtime.block_on(place.segments(&name.generation, name.epoch))?;
        let merged = names
            .range::<SegmentName, _>(..name)
            .next_back()
            .ok_or_else(missing)?;
        let segment = runtime.block_on(place.get_segment(merged))?;
        let step = self.add(merged, &segment.ok_or_else(missing)?)?;
        if self.contains(name) {
            Ok(step)
        } else {
            Err(missing())
        }
    }

    /// Whether the frames of a segment were added, as a part of another one.
    fn contains(&self, name: &SegmentName) -> bool {
        let epoch = self.epoch.as_ref();
        epoch.is_some_and(|(epoch, replay)| *epoch == name.epoch && replay.frames() > name.first)
    }

    /// Returns the replay of the segment's epoch. Applies the epoch before, which is complete.
    fn replay_of(&mut self, name: &SegmentName, segment: &Segment) -> Result<Replay> {
        let missing = || Error::command_failed("the one before it is missing");
        match self.epoch.take() {
            Some((epoch, replay)) if epoch == name.epoch => return Ok(replay),
            Some((epoch, replay)) => {
                let is_next = name.epoch == epoch + 1
                    && segment.header.previous_frames == Some(replay.frames());
                if !is_next || !self.contains_base(epoch, &replay) {
                    return Err(missing());
                }
                replay.apply()?;
            }
            None if name.epoch == self.base.epoch => {}
            None => return Err(missing()),
        }
        Replay::start(self.database, segment.header.wal.clone())
    }

    /// Whether the included commits are at least those of the base backup. Earlier ones must not be applied to it.
    fn contains_base(&self, epoch: u32, replay: &Replay) -> bool {
        self.base.is_included_in(epoch, replay.included())
    }

    fn finish(mut self, is_stopped: bool) -> Result<Replayed> {
        let Some((epoch, replay)) = self.epoch.take() else {
            return Ok(Replayed::Nothing);
        };
        if !self.contains_base(epoch, &replay) {
            replay.discard()?;
            return Ok(if is_stopped {
                Replayed::BaseTooNew
            } else {
                Replayed::Nothing
            });
        }
        replay.apply()?;
        Ok(self.reached.map_or(Replayed::Nothing, Replayed::To))
    }
}
