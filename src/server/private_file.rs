//! Small files that are written atomically and readable only by their owner, e.g. generated secrets.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    path::Path,
};

use tempfile::NamedTempFile;

use super::file_owner::{CREATE, cannot};
use crate::{core::error::Result, infra::file_modes};

/// Returns the text of a file. If it is missing, creates it with the text from `generate`; of concurrent
/// processes, the first one wins.
pub(super) fn read_or_create(
    directory: &Path,
    name: &str,
    generate: impl Fn() -> String,
) -> Result<String> {
    file_modes::create_directory(directory).map_err(|e| cannot(CREATE, directory, &e))?;
    let path = directory.join(name);
    loop {
        match fs::read_to_string(&path) {
            Ok(text) if !text.trim().is_empty() => return Ok(text.trim().to_owned()),
            Ok(_) => {
                let empty = std::io::Error::other("the file is empty; delete it");
                return Err(cannot("read", &path, &empty));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                match write_private_file(directory, &path, &generate()) {
                    // Another process was faster: read its file.
                    Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                    written => written.map_err(|e| cannot("write", &path, &e))?,
                }
            }
            Err(error) => return Err(cannot("read", &path, &error)),
        }
    }
}

/// Writes a file atomically, over an earlier one if there is any.
pub(super) fn replace(directory: &Path, name: &str, text: &str) -> Result<()> {
    file_modes::create_directory(directory).map_err(|e| cannot(CREATE, directory, &e))?;
    let path = directory.join(name);
    let written = synced_file(directory, text).and_then(|file| {
        file.persist(&path).map_err(|error| error.error)?;
        File::open(directory)?.sync_all()
    });
    written.map_err(|e| cannot("write", &path, &e))
}

/// Returns a temporary file with this text, on disk. Only its owner can read it.
fn synced_file(directory: &Path, text: &str) -> std::io::Result<NamedTempFile> {
    let mut file = NamedTempFile::with_prefix_in(".", directory)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Creates a file in a directory atomically and syncs it. Only its owner can read it.
///
/// Errors: `AlreadyExists` if another process has created it.
pub fn write_private_file(directory: &Path, path: &Path, text: &str) -> std::io::Result<()> {
    let file = synced_file(directory, text)?;
    // Fails if the name exists, so that the first of two processes wins.
    file.persist_noclobber(path).map_err(|error| error.error)?;
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    // The name may be lost in a power failure, although a second sync might succeed.
    synced.inspect_err(|_| drop(fs::remove_file(path)))
}
