//! How far the archive has come, kept in a file beside the database.

use std::{fs, io::ErrorKind, path::Path};

use serde::{Deserialize, Serialize};

use super::{Checksum, Header, Salts, archive_directory, failed};
use crate::core::{
    clock::Timestamp,
    error::{Error, Result},
};

const FILE: &str = "position.json";

/// How far the archive has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Position {
    /// The generation: the frames since an earlier base backup have no gap.
    pub generation: String,
    /// The epoch: the number of restarts since the generation began.
    pub epoch: u32,
    /// The WAL's header in this epoch.
    pub header: Header,
    /// The number of archived frames of this epoch.
    pub frames: u32,
    /// The checksum after the last of them.
    pub checksum: Checksum,
    /// The number of frames of the epoch before, if the generation has one.
    pub previous_frames: Option<u32>,
    /// The time of the newest archived commit (unix ms).
    pub last_commit_at: i64,
}

impl Position {
    /// Returns the beginning of a generation.
    pub(super) fn start(generation: String, header: Header) -> Position {
        Position {
            generation,
            epoch: 0,
            checksum: header.checksum(),
            header,
            frames: 0,
            previous_frames: None,
            last_commit_at: 0,
        }
    }

    /// Returns the beginning of the next epoch.
    pub(super) fn next_epoch(&self, header: Header) -> Position {
        Position {
            epoch: self.epoch + 1,
            checksum: header.checksum(),
            header,
            frames: 0,
            previous_frames: Some(self.frames),
            ..self.clone()
        }
    }

    /// Whether a frame, counted from 1 in its epoch, is archived.
    pub(super) fn contains(&self, epoch: Salts, frame: u32) -> bool {
        let salts = self.header.salts();
        salts.is_after(epoch) || (salts == epoch && frame <= self.frames)
    }

    pub fn last_commit_at(&self) -> Timestamp {
        Timestamp(self.last_commit_at)
    }

    /// Reads how far the archive of a database has come. Returns `None` if it has none, or no generation.
    pub fn of(database: &Path) -> Result<Option<Position>> {
        Position::load(&archive_directory(database))
    }

    /// Reads the file in the directory. A damaged one counts as missing: then a new generation begins.
    pub(super) fn load(directory: &Path) -> Result<Option<Position>> {
        let path = directory.join(FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("read", &path, &error)),
        };
        let parsed = serde_json::from_slice(&text);
        if let Err(error) = &parsed {
            tracing::warn!(path = %path.display(), %error, "the position of the WAL archive is damaged");
        }
        Ok(parsed.ok())
    }

    /// Stores it durably, or removes it.
    pub(super) fn store(position: Option<&Position>, directory: &Path) -> Result<()> {
        let path = directory.join(FILE);
        let Some(position) = position else {
            return match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    Err(failed("remove", &path, &error))
                }
                _ => Ok(()),
            };
        };
        let text = serde_json::to_vec(position).map_err(Error::internal)?;
        let written = tempfile::NamedTempFile::new_in(directory).and_then(|mut file| {
            std::io::Write::write_all(&mut file, &text)?;
            file.as_file().sync_data()?;
            file.persist(&path)?;
            Ok(())
        });
        written.map_err(|error| failed("write", &path, &error))
    }
}
