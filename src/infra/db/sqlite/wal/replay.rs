//! Applies archived frames to a copy of a database.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use super::{Checksum, Frames, Header, failed, wal_of};
use crate::{
    core::error::{Error, Result},
    infra::{
        db::sqlite::{
            checkpoint::NOOP,
            connection::{failure, run},
            open::open_standalone,
        },
        file_modes::open_options,
    },
};

/// The frames of one epoch, which are collected in a WAL file beside the database.
pub struct Replay {
    database: PathBuf,
    header: Header,
    checksum: Checksum,
    frames: u32,
    /// The number of frames up to the last commit to apply.
    included: u32,
    file: BufWriter<File>,
}

impl Replay {
    /// Begins an epoch. The database is the base backup, or the result of the epoch before.
    pub fn start(database: &Path, header: Header) -> Result<Replay> {
        let connection = open_standalone(database, true)?;
        // Closing the connection deletes its WAL.
        connection.close().map_err(|(_, error)| failure(error))?;
        let path = wal_of(database);
        let file = open_options()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path);
        let file = file.map_err(|error| failed("write", &path, &error))?;
        let mut replay = Replay {
            database: database.to_owned(),
            checksum: header.checksum(),
            frames: 0,
            included: 0,
            file: BufWriter::with_capacity(1 << 20, file),
            header,
        };
        let header = replay.header.bytes().to_vec();
        replay.write(&header)?;
        Ok(replay)
    }

    /// Returns the number of frames so far.
    pub fn frames(&self) -> u32 {
        self.frames
    }

    /// Returns the number of frames up to the last commit to apply.
    pub fn included(&self) -> u32 {
        self.included
    }

    /// Includes the commit that `frame` ends.
    pub fn include(&mut self, frame: u32) {
        self.included = self.included.max(frame);
    }

    /// Appends frames. Errors: `command_failed` if they are not the continuation.
    pub fn append(&mut self, frames: &[u8]) -> Result<()> {
        let found = Frames::check(&self.header, self.checksum, frames);
        if found.count as usize * self.header.frame_size() != frames.len() {
            return Err(Error::command_failed(
                "its frames do not continue those before",
            ));
        }
        self.write(frames)?;
        self.frames += found.count;
        self.checksum = found.checksum;
        Ok(())
    }

    /// Applies nothing.
    pub fn discard(self) -> Result<()> {
        let path = wal_of(&self.database);
        drop(self.file);
        fs::remove_file(&path).map_err(|error| failed("remove", &path, &error))
    }

    /// Lets `SQLite` apply the frames of the included commits.
    pub fn apply(mut self) -> Result<()> {
        if self.included == 0 {
            return self.discard();
        }
        let path = wal_of(&self.database);
        let cut = self.file.flush().and_then(|()| {
            // What follows was committed later.
            let file = self.file.get_ref();
            file.set_len(self.header.offset(self.included))
        });
        cut.map_err(|error| failed("write", &path, &error))?;
        let connection = open_standalone(&self.database, true)?;
        run(&connection, "BEGIN")?;
        // The first read recovers the WAL.
        connection
            .query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
            .map_err(failure)?;
        run(&connection, "COMMIT")?;
        let count = |row: &rusqlite::Row<'_>| row.get::<_, i64>("log");
        let applied = connection.query_row(NOOP, [], count).map_err(failure)?;
        if applied != i64::from(self.included) {
            return Err(Error::command_failed(format!(
                "SQLite accepts {applied} of {} frames",
                self.included
            )));
        }
        connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .map_err(failure)?;
        connection.close().map_err(|(_, error)| failure(error))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.file.write_all(bytes);
        written.map_err(|error| failed("write", &wal_of(&self.database), &error))
    }
}
