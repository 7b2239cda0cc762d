//! What the archiver and the checkpointer share.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{self, ErrorKind},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rusqlite::Connection;
use tokio::sync::Notify;

use super::{
    Frames, Header, Mark, Position, Salts, WalFile, archive_directory, failed,
    set_aside::{self, SetAside},
    wal_of,
};
use crate::{
    core::{
        clock::{Clock, Timestamp},
        error::{Error, Result, chain},
    },
    infra::db::sqlite::{
        checkpoint::NOOP,
        connection::failure,
        open::{Mode, open},
    },
};

/// The maximum number of bytes in a chunk, apart from a single larger frame. The longer a chunk, the more of its frames
/// repeat a page with few changes, which compresses well and fast.
const MAX_CHUNK: usize = 64 << 20;

/// How many frames the archiver should not let wait: 64 MiB.
const LARGE_BACKLOG: u32 = 16_384;

/// The maximum size of all frames set aside while the archive cannot be reached. Beyond it, the generation ends: a new
/// base backup is smaller.
const MAX_SET_ASIDE: u64 = 2 << 30;

/// The maximum number of commit times in memory: at 100 commits per second, those of half an hour.
const MAX_COMMIT_TIMES: usize = 200_000;

/// A commit, and when it was durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitTime {
    /// The frame that ends it, counted from 1 in its epoch.
    pub frame: u32,
    pub at: Timestamp,
}

/// Frames to archive.
#[derive(Debug)]
pub struct Chunk {
    /// The position before it.
    pub start: Position,
    /// The position after it.
    pub end: Position,
    pub frames: Vec<u8>,
    /// The commits in it.
    pub commits: Vec<CommitTime>,
    /// Whether it ends with the newest commit.
    pub is_last: bool,
}

/// What the archiver has to do.
#[derive(Debug)]
pub enum Next {
    Archive(Box<Chunk>),
    /// Everything is archived.
    UpToDate,
    /// There is no generation.
    NoGeneration,
    /// Frames are missing, so the generation has ended. The reason.
    Gap(&'static str),
}

/// The WAL of an open database, as the archiver and the checkpointer see it.
pub struct WalArchive {
    database: PathBuf,
    wal_path: PathBuf,
    directory: PathBuf,
    clock: Clock,
    /// Counts the frames of complete and synced commits.
    counter: Mutex<Connection>,
    state: Mutex<State>,
    generation_started: Notify,
    is_behind: Notify,
}

struct State {
    position: Option<Position>,
    /// The commits of this process that are not archived yet, oldest first.
    commits: VecDeque<(Salts, CommitTime)>,
    /// Up to which frame of which epoch frames were set aside last.
    set_aside: Option<(Salts, u32)>,
    /// The newest durable commit of this process.
    durable: Option<Mark>,
}

impl State {
    /// See [`WalArchive::backlog`].
    fn backlog(&self) -> u32 {
        match (&self.position, self.durable) {
            (Some(position), Some(end)) if position.header.salts() == end.salts => {
                end.frames.saturating_sub(position.frames)
            }
            (Some(_), Some(end)) => end.frames,
            (None, _) | (_, None) => 0,
        }
    }

    /// Drops the times of archived commits.
    fn forget_archived(&mut self) {
        let Some(position) = &self.position else {
            return;
        };
        self.commits
            .retain(|(of, commit)| !position.contains(*of, commit.frame));
    }
}

impl WalArchive {
    pub(in crate::infra::db::sqlite) fn open(
        database: &Path,
        clock: Clock,
        lock_timeout: Duration,
    ) -> Result<WalArchive> {
        let directory = archive_directory(database);
        let position = Position::load(&directory)?;
        let mut set_aside = set_aside::list(&directory)?;
        set_aside.sort_by_key(|it| (it.written_at, it.last));
        let counter = open(database, lock_timeout, Mode::ReadOnly)?;
        let archive = WalArchive {
            database: database.to_owned(),
            wal_path: wal_of(database),
            directory,
            clock,
            counter: Mutex::new(counter),
            state: Mutex::new(State {
                position,
                // An earlier process's commits count from the last write to their file.
                commits: set_aside
                    .iter()
                    .map(|it| at(it.salts, it.last, it.written_at))
                    .collect(),
                set_aside: set_aside.last().map(|it| (it.salts, it.last)),
                durable: None,
            }),
            generation_started: Notify::new(),
            is_behind: Notify::new(),
        };
        if let Some((header, frames)) = archive.live()? {
            let written_at = archive.written_at()?;
            archive
                .state()
                .commits
                .push_back(at(header.salts(), frames, written_at));
        }
        archive.state().forget_archived();
        Ok(archive)
    }

    /// Returns the age of the oldest commit that is not archived.
    pub fn lag(&self) -> Duration {
        let oldest = self.state().commits.front().map(|(_, commit)| commit.at);
        let age = oldest.map_or(0, |at| self.clock.now().0 - at.0);
        Duration::from_millis(u64::try_from(age).unwrap_or_default())
    }

    /// Returns how far the archive has come; `None` before the first generation, and after a gap.
    pub fn position(&self) -> Option<Position> {
        self.state().position.clone()
    }

    /// Returns how many frames of the current epoch are not archived.
    pub(in crate::infra::db::sqlite) fn backlog(&self) -> u32 {
        self.state().backlog()
    }

    /// Lets the next round begin at once, since the WAL is about to be restarted.
    pub(in crate::infra::db::sqlite) fn hurry(&self) {
        self.is_behind.notify_one();
    }

    /// Waits until the next round should begin at once.
    pub async fn is_behind(&self) {
        self.is_behind.notified().await;
    }

    /// Waits until a generation has begun, which needs a base backup.
    pub async fn generation_started(&self) {
        self.generation_started.notified().await;
    }

    /// Begins a generation at the start of the current epoch. Returns whether it has begun: an empty WAL has no epoch.
    pub fn start_generation(&self, name: String) -> Result<bool> {
        let Some((header, _)) = self.live()? else {
            return Ok(false);
        };
        self.store(Some(Position::start(name, header)))?;
        self.generation_started.notify_one();
        Ok(true)
    }

    /// Ends the generation: the archive has a gap.
    pub fn end_generation(&self) -> Result<()> {
        self.store(None)
    }

    /// Returns what is to be archived next. Blocks.
    pub fn next(&self) -> Result<Next> {
        loop {
            let Some(position) = self.position() else {
                return Ok(Next::NoGeneration);
            };
            let salts = position.header.salts();
            // In this order: frames are set aside before the WAL is restarted.
            let live = self.live()?;
            let set_aside = set_aside::list(&self.directory)?;
            let continues = |it: &&SetAside| {
                it.salts == salts && it.first <= position.frames && position.frames < it.last
            };
            if let Some(source) = set_aside.iter().find(continues) {
                return self.chunk_set_aside(&position, source);
            }
            if let Some((header, frames)) = &live
                && header.salts() == salts
            {
                return self.chunk_of_wal(&position, *frames);
            }
            // The WAL was restarted.
            let last = set_aside.iter().filter(|it| it.salts == salts);
            if last.map(|it| it.last).max() != Some(position.frames) {
                return Ok(Next::Gap("another program restarted or deleted the WAL"));
            }
            let is_next = |next: Salts| next.restarts_since(salts) == 1;
            let next = match set_aside.iter().find(|it| is_next(it.salts)) {
                Some(source) => read_header(&source.path)?,
                None => live.map(|(header, _)| header),
            };
            match next.filter(|next| is_next(next.salts())) {
                Some(next) => self.begin_epoch(position.next_epoch(next), &set_aside)?,
                None => return Ok(Next::Gap("another program restarted the WAL")),
            }
        }
    }

    /// Records that everything up to this position is archived.
    pub fn advance(&self, end: Position) -> Result<()> {
        self.store(Some(end))?;
        self.state().forget_archived();
        Ok(())
    }

    /// Records that all frames up to `end` were durable at `at`. The syncer calls it.
    pub(in crate::infra::db::sqlite) fn record(&self, end: Mark, at: Timestamp) {
        let frame = end.frames;
        let mut state = self.state();
        state.durable = Some(end);
        if state.backlog() >= LARGE_BACKLOG {
            self.is_behind.notify_one();
        }
        match &state.position {
            None => state.commits.clear(),
            // The archiver has synced it before.
            Some(position) if position.contains(end.salts, frame) => return,
            Some(_) => {}
        }
        if state.commits.len() >= MAX_COMMIT_TIMES {
            // The archive cannot be reached. Every second commit gets the time of the next one.
            let mut is_kept = false;
            state.commits.retain(|_| {
                is_kept = !is_kept;
                is_kept
            });
        }
        state
            .commits
            .push_back((end.salts, CommitTime { frame, at }));
    }

    /// Copies the frames that are not archived yet to a file, so that the WAL may be restarted. The caller holds the
    /// write lock. If that fails, the generation ends.
    pub(in crate::infra::db::sqlite) fn set_aside(&self) -> Result<()> {
        let done = self.try_set_aside();
        if let Err(error) = &done {
            tracing::error!(
                error = %chain(error),
                "WAL frames could not be kept for the archive; a new base backup follows"
            );
            self.end_generation()?;
        }
        Ok(())
    }

    fn try_set_aside(&self) -> Result<()> {
        let (Some(position), Some((header, frames))) = (self.position(), self.live()?) else {
            return Ok(());
        };
        let salts = header.salts();
        let archived = if position.header.salts() == salts {
            position.frames
        } else {
            0
        };
        let already = self.state().set_aside.filter(|(of, _)| *of == salts);
        let first = already
            .map_or(0, |(_, last)| last)
            .max(archived)
            .min(frames);
        let size: u64 = set_aside::list(&self.directory)?
            .iter()
            .map(|it| it.size)
            .sum();
        if size > MAX_SET_ASIDE {
            return Err(Error::unavailable(
                "the backup place has not been reachable for long",
            ));
        }
        let wal = File::open(&self.wal_path).map_err(|error| self.cannot_read(&error))?;
        set_aside::write(&self.directory, &wal, &header, first, frames)?;
        self.state().set_aside = Some((salts, frames));
        Ok(())
    }

    /// See [`live`].
    fn live(&self) -> Result<Option<(Header, u32)>> {
        live(&self.database, &lock(&self.counter))
    }

    /// Returns the next frames of the WAL.
    fn chunk_of_wal(&self, position: &Position, frames: u32) -> Result<Next> {
        // A restart has begun, and its first commit is not complete.
        if frames == position.frames || frames == 0 {
            return Ok(Next::UpToDate);
        }
        if frames < position.frames {
            return Ok(Next::Gap("the WAL was replaced by an older one"));
        }
        let offset = position.header.offset(position.frames);
        let bytes = File::open(&self.wal_path)
            .and_then(|wal| read(&wal, position, frames, offset))
            .map_err(|error| self.cannot_read(&error))?;
        if let Some(mut chunk) = self.chunk(position, bytes, self.clock.now()) {
            chunk.is_last = chunk.end.frames == frames;
            return Ok(Next::Archive(Box::new(chunk)));
        }
        match read_header(&self.wal_path)? {
            Some(header) if header.salts() == position.header.salts() => {
                Ok(Next::Gap("the WAL was replaced"))
            }
            // It was restarted while it was read.
            _ => Ok(Next::UpToDate),
        }
    }

    /// Returns the next frames of those that were set aside.
    fn chunk_set_aside(&self, position: &Position, source: &SetAside) -> Result<Next> {
        let offset = position.header.offset(position.frames - source.first);
        let bytes = File::open(&source.path)
            .and_then(|file| read(&file, position, source.last, offset))
            .map_err(|error| failed("read", &source.path, &error))?;
        match self.chunk(position, bytes, source.written_at) {
            Some(chunk) => Ok(Next::Archive(Box::new(chunk))),
            None => Ok(Next::Gap("WAL frames that were set aside are damaged")),
        }
    }

    /// Checks the bytes behind a position. Returns `None` if they are not its continuation. Commits whose time is
    /// unknown, since another process made them, get the time `latest`.
    fn chunk(&self, start: &Position, bytes: Vec<u8>, latest: Timestamp) -> Option<Chunk> {
        let size = start.header.frame_size();
        let found = Frames::check(&start.header, start.checksum, &bytes);
        if found.count == 0 || found.count as usize != bytes.len() / size {
            return None;
        }
        let state = self.state();
        let times: Vec<CommitTime> = state
            .commits
            .iter()
            .filter(|(salts, _)| *salts == start.header.salts())
            .map(|(_, commit)| *commit)
            .collect();
        drop(state);
        let mut last = start.last_commit_at();
        let commits: Vec<CommitTime> = found
            .commits
            .iter()
            .map(|count| {
                let frame = start.frames + count;
                let next = times.partition_point(|commit| commit.frame < frame);
                let at = times.get(next).map_or(latest, |commit| commit.at);
                // In order, even if the clock was set back.
                last = last.max(at);
                CommitTime { frame, at: last }
            })
            .collect();
        let end = Position {
            frames: start.frames + found.count,
            checksum: found.checksum,
            last_commit_at: last.0,
            ..start.clone()
        };
        Some(Chunk {
            start: start.clone(),
            end,
            frames: bytes,
            commits,
            is_last: false,
        })
    }

    /// Moves on to the next epoch. What was set aside of earlier ones is archived.
    fn begin_epoch(&self, position: Position, set_aside: &[SetAside]) -> Result<()> {
        let salts = position.header.salts();
        self.store(Some(position))?;
        self.state().forget_archived();
        for frames in set_aside.iter().filter(|it| salts.is_after(it.salts)) {
            set_aside::remove(frames);
        }
        Ok(())
    }

    fn store(&self, position: Option<Position>) -> Result<()> {
        Position::store(position.as_ref(), &self.directory)?;
        if position.is_none() {
            for frames in set_aside::list(&self.directory)? {
                set_aside::remove(&frames);
            }
        }
        self.state().position = position;
        Ok(())
    }

    fn written_at(&self) -> Result<Timestamp> {
        let modified = fs::metadata(&self.wal_path).and_then(|found| found.modified());
        modified
            .map(Timestamp::from)
            .map_err(|error| self.cannot_read(&error))
    }

    fn cannot_read(&self, error: &io::Error) -> Error {
        failed("read", &self.wal_path, error)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn at(salts: Salts, frame: u32, at: Timestamp) -> (Salts, CommitTime) {
    (salts, CommitTime { frame, at })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads the frames from a position up to frame `last`, or as many as fit into a chunk.
fn read(file: &File, position: &Position, last: u32, offset: u64) -> io::Result<Vec<u8>> {
    let size = position.header.frame_size();
    let count = (last - position.frames) as usize;
    let mut bytes = vec![0; count.min((MAX_CHUNK / size).max(1)) * size];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}

/// Returns the header of a WAL and its number of frames in complete and durable commits; `None` if it is empty.
pub(super) fn live(database: &Path, connection: &Connection) -> Result<Option<(Header, u32)>> {
    let wal = &wal_of(database);
    loop {
        let before = read_header(wal)?;
        let count = |row: &rusqlite::Row<'_>| row.get::<_, i64>("log");
        let frames = connection.query_row(NOOP, [], count).map_err(failure)?;
        // A restart in between would give the frames of another epoch.
        if read_header(wal)? == before {
            let frames = u32::try_from(frames.max(0)).map_err(Error::internal)?;
            if before.is_some() {
                WalFile::open(database)?.sync()?;
            }
            return Ok(before.map(|header| (header, frames)));
        }
    }
}

/// Reads the header of a WAL, or of frames that were set aside; `None` if there is none.
fn read_header(path: &Path) -> Result<Option<Header>> {
    match File::open(path).and_then(|file| Header::read(&file)) {
        Ok(header) => Ok(header),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path, &error)),
    }
}
