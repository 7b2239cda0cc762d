//! Checks that the program runs as the owner of the data directory. The server could neither read nor replace
//! files that another user (usually root) writes there.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{self, Path},
};

use rustix::fs::Access;

use crate::core::error::{Error, Kind, Result};

const ROOT: u32 = 0;

/// The files that the server must be able to write. Images may be on a volume of another owner.
const OWN_FILES: [&str; 7] = [
    "shop.db",
    "shop.db-wal",
    "shop.db-shm",
    "lock",
    "demo",
    "keys",
    "mail",
];

/// Errors: `Unavailable` if the directory or a file in it belongs to another user or is not writable.
pub fn check_owner(root: &Path) -> Result<()> {
    let user = rustix::process::geteuid().as_raw();
    let uid_of = |path: &Path| uid(path).map_err(|error| cannot("inspect", path, &error));
    let Some(owner) = uid_of(root)? else {
        return Ok(());
    };
    let own = || OWN_FILES.iter().map(|name| root.join(name));
    let owner = match owner {
        // Kubernetes mounts a volume as root's with a writable group: then the first file's owner counts.
        ROOT => match own().find_map(|path| uid(&path).transpose()).transpose() {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Some(ROOT),
            first => first.map_err(|error| cannot("inspect", root, &error))?,
        },
        owner => Some(owner),
    };
    if let Some(owner) = owner.filter(|owner| *owner != user) {
        let (root, owner, user) = (root.display(), name(owner), name(user));
        return Err(Error::unavailable(format!(
            "`{root}` belongs to the user {owner}, and files written by {user} would be unreadable for \
             its server; run `sudo -u {owner} shop --data-dir '{root}' …`"
        )));
    }
    for path in own() {
        if let Some(other) = uid_of(&path)?.filter(|other| *other != user) {
            let (path, other, user) = (path.display(), name(other), name(user));
            let root = root.display();
            return Err(Error::unavailable(format!(
                "`{path}` belongs to the user {other}; run `sudo chown -R {user} '{root}'`"
            )));
        }
    }
    // SQLite would open a read-only file and fail only at the first write.
    for path in [root.to_owned()].into_iter().chain(own()) {
        match rustix::fs::access(path.as_path(), Access::READ_OK | Access::WRITE_OK) {
            Err(error) if !is_absent(&error.into()) => {
                return Err(cannot("write", &path, &error.into()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Returns the error for a failed file operation, with a remedy if the cause is known. If the user may not do it, or
/// nobody may, it names the user.
pub(super) fn cannot(verb: &str, path: &Path, error: &io::Error) -> Error {
    let path = path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let path = path.display();
    let user = name(rustix::process::geteuid().as_raw());
    match error.kind() {
        io::ErrorKind::PermissionDenied if verb == CREATE => Error::unavailable(format!(
            "permission denied: the user {user} cannot create `{path}`; create it once as root \
             (`sudo install -d -o {user} -m 700 '{path}'`), or choose another `--data-dir`"
        )),
        io::ErrorKind::PermissionDenied => Error::unavailable(format!(
            "permission denied: the user {user} cannot {verb} `{path}`; run this command as its owner \
             (`sudo -u`), or change its owner or mode"
        )),
        io::ErrorKind::ReadOnlyFilesystem => Error::unavailable(format!(
            "the user {user} cannot {verb} `{path}`: {error}; mount it writable, or choose another \
             `--data-dir`"
        )),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::new(
            Kind::StorageFull,
            format!(
                "the disk is full: cannot {verb} `{path}`: {error}; make space on it, then try again"
            ),
        ),
        _ => Error::unavailable(format!("cannot {verb} `{path}`: {error}")),
    }
}

/// The verb of [`cannot`] for creating a directory.
pub(super) const CREATE: &str = "create";

/// Returns the owner of a file, or `None` if there is no such file.
fn uid(path: &Path) -> io::Result<Option<u32>> {
    match fs::metadata(path) {
        Ok(found) => Ok(Some(found.uid())),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns whether the file or its directory does not exist.
fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Returns the user that runs the program.
pub fn current_user() -> String {
    name(rustix::process::getuid().as_raw())
}

/// Returns a user as `sudo` and `chown` accept it: the name, or the number if `/etc/passwd` does not list it.
fn name(uid: u32) -> String {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let found = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    found.unwrap_or_else(|| format!("'#{uid}'"))
}
