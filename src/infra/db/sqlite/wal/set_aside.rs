//! Frames that were set aside before the WAL was restarted: one file each, named by epoch and range.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use super::{Header, Salts, failed};
use crate::{
    core::{clock::Timestamp, error::Result},
    infra::file_modes::open_options,
};

const PREFIX: &str = "frames-";

/// How many bytes are copied at a time.
const BUFFER: usize = 1 << 20;

/// Frames `first + 1` to `last` of an epoch. The file begins with the header of the WAL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SetAside {
    pub(super) salts: Salts,
    pub(super) first: u32,
    pub(super) last: u32,
    pub(super) path: PathBuf,
    pub(super) size: u64,
    /// When it was written: no commit in it is newer.
    pub(super) written_at: Timestamp,
}

/// Returns what was set aside, in no order.
pub(super) fn list(directory: &Path) -> Result<Vec<SetAside>> {
    let entries = fs::read_dir(directory).map_err(|error| failed("read", directory, &error))?;
    Ok(entries.flatten().filter_map(|it| parse(&it)).collect())
}

fn parse(entry: &fs::DirEntry) -> Option<SetAside> {
    let name = entry.file_name().into_string().ok()?;
    let mut parts = name.strip_prefix(PREFIX)?.split('-');
    let (salts, first, last) = (parts.next()?, parts.next()?, parts.next()?);
    let salt = |part: Option<&str>| u32::from_str_radix(part?, 16).ok();
    let found = entry.metadata().ok()?;
    Some(SetAside {
        salts: Salts(salt(salts.get(..8))?, salt(salts.get(8..))?),
        first: first.parse().ok()?,
        last: last.parse().ok()?,
        path: entry.path(),
        size: found.len(),
        written_at: found.modified().ok()?.into(),
    })
}

/// Copies frames `first + 1` to `last` of the WAL into a new file, durably.
pub(super) fn write(
    directory: &Path,
    wal: &File,
    header: &Header,
    first: u32,
    last: u32,
) -> Result<()> {
    let Salts(a, b) = header.salts();
    let path = directory.join(format!("{PREFIX}{a:08x}{b:08x}-{first:010}-{last:010}"));
    let written = copy(directory, wal, header, (first, last), &path);
    written.map_err(|error| failed("write", &path, &error))
}

fn copy(
    directory: &Path,
    wal: &File,
    header: &Header,
    (first, last): (u32, u32),
    path: &Path,
) -> io::Result<()> {
    let unfinished = directory.join("unfinished");
    let mut file = open_options()
        .write(true)
        .create(true)
        .truncate(true)
        .open(&unfinished)?;
    file.write_all(header.bytes())?;
    let (mut at, end) = (header.offset(first), header.offset(last));
    let mut buffer = vec![0; BUFFER];
    while at < end {
        let size = usize::try_from(end - at).unwrap_or(BUFFER).min(BUFFER);
        wal.read_exact_at(&mut buffer[..size], at)?;
        file.write_all(&buffer[..size])?;
        at += size as u64;
    }
    file.sync_data()?;
    fs::rename(&unfinished, path)?;
    File::open(directory)?.sync_all()
}

/// Deletes a file. One that stays takes only space.
pub(super) fn remove(frames: &SetAside) {
    if let Err(error) = fs::remove_file(&frames.path) {
        tracing::warn!(path = %frames.path.display(), %error, "cannot delete archived WAL frames");
    }
}
