//! The write-ahead log as a file: reads its frames for an archive, and applies archived frames to a database.
//!
//! `SQLite` appends every commit to the WAL, and after a checkpoint begins it again from the start with new salts
//! (a *restart*). What is between two restarts is an *epoch*. A base backup and the frames of every epoch since then
//! give the database at any commit.
//!
//! - [`WalArchive`] hands committed frames to the archiver, in order. It syncs the WAL before it reads frames, so that
//!   the archive contains no commit that a power loss can revoke.
//! - The checkpointer lets the WAL restart only after the frames that the archiver has not read yet were set aside
//!   (`WalArchive::set_aside`), so the archiver never delays a commit or a checkpoint.
//! - A directory beside the database marks it: while it exists, no other process checkpoints the WAL, or deletes it
//!   when it closes the last connection. If something restarts the WAL nevertheless, its salts show it, and the
//!   archiver starts a new generation with a new base backup.
//! - [`Replay`] writes archived frames into a WAL file and lets `SQLite` apply it.
//!
//! The format: <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>.

mod archive;
mod format;
mod position;
mod replay;
mod set_aside;

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, config::DbConfig};

use self::format::{Checksum, Frames};
pub use self::{
    archive::{Chunk, CommitTime, Next, WalArchive},
    format::{Header, Salts},
    position::Position,
    replay::Replay,
};
use crate::{
    core::error::{Error, Kind, Result},
    infra::{
        db::{WalArchiving, sqlite::open::open_standalone},
        file_modes,
    },
};

/// Returns the path of the WAL of a database.
pub(in crate::infra::db) fn wal_of(database: &Path) -> PathBuf {
    beside(database, "-wal")
}

/// Returns the directory that exists while the WAL of a database is archived. It holds the position of the archive, and
/// frames that were set aside.
pub fn archive_directory(database: &Path) -> PathBuf {
    beside(database, "-archive")
}

fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(suffix);
    PathBuf::from(path)
}

/// Whether the WAL of a database is archived, so that only the archiving server may run checkpoints.
pub(in crate::infra::db) fn is_archived(database: &Path) -> bool {
    archive_directory(database).is_dir()
}

/// The WAL of an open database, through a descriptor of its own. Closing it releases no lock of `SQLite`, which locks
/// other files.
#[derive(Debug)]
pub(in crate::infra::db::sqlite) struct WalFile {
    file: File,
    path: PathBuf,
}

impl WalFile {
    /// Opens the WAL, which exists as long as a connection to the database is open.
    pub(in crate::infra::db::sqlite) fn open(database: &Path) -> Result<WalFile> {
        let path = wal_of(database);
        let file = File::open(&path).map_err(|error| failed("open", &path, &error))?;
        Ok(WalFile { file, path })
    }

    /// Returns the salts in the header; `None` if the WAL is empty.
    pub(in crate::infra::db::sqlite) fn salts(&self) -> Result<Option<Salts>> {
        let header = Header::read(&self.file);
        let header = header.map_err(|error| failed("read", &self.path, &error))?;
        Ok(header.map(|header| header.salts()))
    }

    /// Makes everything durable that was written before this call. Errors: `unavailable`; the data may be lost.
    pub(in crate::infra::db::sqlite) fn sync(&self) -> Result<()> {
        let synced = self.file.sync_data();
        synced.map_err(|error| failed("sync", &self.path, &error))
    }
}

/// A position in a WAL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    pub salts: Salts,
    /// The number of frames in complete commits.
    pub frames: u32,
}

/// Returns the current end of an archived WAL; `None` if it is empty or not archived.
pub(in crate::infra::db) fn mark(database: &Path) -> Result<Option<Mark>> {
    if !is_archived(database) {
        return Ok(None);
    }
    let connection = open_standalone(database, false)?;
    let live = archive::live(database, &connection)?;
    Ok(live.map(|(header, frames)| Mark {
        salts: header.salts(),
        frames,
    }))
}

/// Keeps a connection to an archived database from running checkpoints and from deleting the WAL when it is closed.
/// Every connection calls it.
pub(in crate::infra::db) fn keep_if_archived(
    connection: &Connection,
    database: &Path,
) -> rusqlite::Result<()> {
    if is_archived(database) {
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    }
    Ok(())
}

/// Creates or removes the directory that marks the database, before a connection is opened.
pub(in crate::infra::db) fn prepare(database: &Path, archiving: WalArchiving) -> Result<()> {
    let directory = archive_directory(database);
    let done = match archiving {
        WalArchiving::On => file_modes::create_directory(&directory),
        WalArchiving::Off if directory.is_dir() => std::fs::remove_dir_all(&directory),
        WalArchiving::Off | WalArchiving::Unchanged => Ok(()),
    };
    done.map_err(|error| failed("prepare", &directory, &error))
}

/// Returns the error of a file operation.
pub(in crate::infra::db) fn failed(verb: &str, path: &Path, error: &std::io::Error) -> Error {
    let kind = match error.kind() {
        std::io::ErrorKind::StorageFull => Kind::StorageFull,
        _ => Kind::Unavailable,
    };
    Error::new(kind, format!("cannot {verb} `{}`: {error}", path.display()))
}
