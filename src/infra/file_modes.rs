//! File permissions: files and directories are accessible by their owner only, because they contain personal
//! data and secrets. Modes are set explicitly, so that they do not depend on the umask of the process.

use std::{
    fs::{self, DirBuilder, OpenOptions, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

const FILE: u32 = 0o600;
const DIRECTORY: u32 = 0o700;

/// The permission bits of group and others.
const GROUP_AND_OTHERS: u32 = 0o077;

/// Sets the umask to 077, so that files created by libraries are private, too. The umask belongs to the whole
/// process, so only the entry point may call this.
pub fn restrict_umask() {
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
}

/// Returns options that create a file with mode 0600.
pub fn open_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(FILE);
    options
}

/// Creates a directory and its parents with mode 0700 if they do not exist.
pub fn create_directory(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(DIRECTORY).create(path)
}

/// Creates an empty file with mode 0600 if it does not exist. It never opens an existing file, because
/// closing any descriptor of a database file releases `SQLite`'s POSIX locks
/// (<https://www.sqlite.org/howtocorrupt.html>).
pub fn create_if_missing(path: &Path) -> io::Result<()> {
    match open_options().write(true).create_new(true).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Sets the mode of a file to 0600 if group or others have permissions. Ignores files that do not exist or
/// belong to another user.
pub fn restrict_file(path: &Path) -> io::Result<()> {
    restrict(path, FILE).map(drop)
}

/// Like [`restrict_file`], with mode 0700 for a directory. If the mode changes, restricts its contents
/// recursively.
pub fn restrict_directory(path: &Path) -> io::Result<()> {
    if !restrict(path, DIRECTORY)? {
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        let (entry, kind) = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))?;
        if kind.is_dir() {
            restrict_directory(&entry)?;
        } else if kind.is_file() {
            restrict_file(&entry)?;
        }
    }
    Ok(())
}

/// Returns whether users other than the owner can enter the directory.
pub fn is_open_to_others(directory: &Path) -> bool {
    const EXECUTE: u32 = 0o011;
    fs::metadata(directory).is_ok_and(|found| found.mode() & EXECUTE != 0)
}

/// Sets the mode if group or others have permissions. Returns whether it changed.
fn restrict(path: &Path, mode: u32) -> io::Result<bool> {
    let found = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        found => found?,
    };
    let is_ours = found.uid() == rustix::process::geteuid().as_raw();
    if !is_ours || found.mode() & GROUP_AND_OTHERS == 0 {
        return Ok(false);
    }
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    Ok(true)
}
