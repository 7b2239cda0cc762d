//! Files and directories that only their owner can use: they hold personal data and secrets. The modes are
//! set explicitly, so that they hold for whoever uses the crate as a library, under any umask.

use std::{
    fs::{self, DirBuilder, OpenOptions, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

const FILE: u32 = 0o600;
const DIRECTORY: u32 = 0o700;

/// The permissions of everybody but the owner.
const OTHERS: u32 = 0o077;

/// Makes every new file of this process 0600 and every new directory 0700, also those that libraries
/// create. A process has one umask, so only the program's `main` calls this.
pub fn restrict_umask() {
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
}

/// Options that create a file with mode 0600.
pub fn open_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(FILE);
    options
}

/// Creates a directory and its parents with mode 0700, where they do not exist.
pub fn create_directory(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(DIRECTORY).create(path)
}

/// Creates an empty file with mode 0600, where it does not exist. It never opens one that does: `SQLite`
/// would lose its locks on that file once it is closed.
pub fn create_if_missing(path: &Path) -> io::Result<()> {
    match open_options().write(true).create_new(true).open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Sets the mode of a file to 0600 where others have permissions on it. Ignores a file that does not
/// exist or belongs to another user.
pub fn restrict_file(path: &Path) -> io::Result<()> {
    restrict(path, FILE).map(drop)
}

/// As [`restrict_file`], 0700 for a directory. One that was open to others is searched for files that
/// were, too; the directories inside it are included.
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

/// Whether users other than the owner can enter the directory.
pub fn is_open_to_others(directory: &Path) -> bool {
    const ENTER: u32 = 0o011;
    fs::metadata(directory).is_ok_and(|found| found.mode() & ENTER != 0)
}

/// Returns whether the mode was changed.
fn restrict(path: &Path, mode: u32) -> io::Result<bool> {
    let found = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        found => found?,
    };
    let is_ours = found.uid() == rustix::process::geteuid().as_raw();
    if !is_ours || found.mode() & OTHERS == 0 {
        return Ok(false);
    }
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    Ok(true)
}
