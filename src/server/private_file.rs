//! Small files that are created once, atomically, and readable only by their owner, e.g. generated secrets.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    path::Path,
};

use super::file_owner::{CREATE, cannot};
use crate::{
    core::{error::Result, rng::Rng},
    infra::file_modes::{self, open_options},
};

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

/// Creates a file atomically and syncs it. Only its owner can read it.
///
/// Errors: `AlreadyExists` if another process has created it.
fn write_private_file(directory: &Path, path: &Path, text: &str) -> std::io::Result<()> {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy())
        .unwrap_or_default();
    // A random name: in containers that share a volume, every server has the process id 1.
    let salt = hex::encode(Rng::system().bytes::<8>());
    let temporary = directory.join(format!(".{name}.{salt}"));
    let written = write_synced(&temporary, text)
        // A hard link fails if the name exists, so that the first of two processes wins.
        .and_then(|()| fs::hard_link(&temporary, path))
        .and_then(|()| {
            let synced = File::open(directory).and_then(|directory| directory.sync_all());
            // The name may be lost in a power failure, although a second sync might succeed.
            synced.inspect_err(|_| drop(fs::remove_file(path)))
        });
    let removed = fs::remove_file(&temporary);
    written.and(removed)
}

fn write_synced(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = open_options().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
