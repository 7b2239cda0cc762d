//! Whose data directory it is. What another user (root, usually) writes there the server can neither read
//! nor replace, so the program runs as the owner or not at all.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{self, Path},
};

use rustix::fs::Access;

use crate::core::error::{Error, Result};

const ROOT: u32 = 0;

/// What a server must be able to write. Pictures may be on a volume of another owner.
const OWN: [&str; 7] = [
    "shop.db",
    "shop.db-wal",
    "shop.db-shm",
    "lock",
    "demo",
    "keys",
    "mail",
];

/// Errors: the directory belongs to another user, holds files of another user, or may not be written.
pub fn check_owner(root: &Path) -> Result<()> {
    let user = rustix::process::geteuid().as_raw();
    let uid_of = |path: &Path| uid(path).map_err(|error| cannot("inspect", path, &error));
    let Some(owner) = uid_of(root)? else {
        return Ok(());
    };
    let own = || OWN.iter().map(|name| root.join(name));
    let owner = match owner {
        // Kubernetes gives a volume to root and lets the group write: whoever came first owns the shop.
        ROOT => match own().find_map(|path| uid(&path).transpose()).transpose() {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Some(ROOT),
            first => first.map_err(|error| cannot("inspect", root, &error))?,
        },
        owner => Some(owner),
    };
    if let Some(owner) = owner.filter(|owner| *owner != user) {
        let (root, owner, user) = (root.display(), name(owner), name(user));
        return Err(Error::unavailable(format!(
            "`{root}` belongs to the user {owner}, and {user} would leave files that its server \
             cannot read; run `sudo -u {owner} shop --data-dir '{root}' …`"
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
    // SQLite opens a file that may not be written all the same, and fails with the first write.
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

/// Why something in the data directory failed: with the user, where it is for want of a permission.
pub(super) fn cannot(verb: &str, path: &Path, error: &io::Error) -> Error {
    let path = path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let path = path.display();
    if error.kind() != io::ErrorKind::PermissionDenied {
        return Error::unavailable(format!("cannot {verb} `{path}`: {error}"));
    }
    let user = name(rustix::process::geteuid().as_raw());
    let remedy = if verb == CREATE {
        format!(
            "create it once as root (`sudo install -d -o {user} -m 700 '{path}'`), or choose another \
             `--data-dir`"
        )
    } else {
        "run this as the user who owns it (`sudo -u`), or change its owner or mode".to_owned()
    };
    Error::unavailable(format!(
        "permission denied: the user {user} cannot {verb} `{path}`; {remedy}"
    ))
}

/// What [`cannot`] calls making a directory.
pub(super) const CREATE: &str = "create";

/// None: there is no such file.
fn uid(path: &Path) -> io::Result<Option<u32>> {
    match fs::metadata(path) {
        Ok(found) => Ok(Some(found.uid())),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether there is no such file, or no directory that could hold it.
fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// The user as `sudo` and `chown` take it: by name, or by number where `/etc/passwd` does not list it.
fn name(uid: u32) -> String {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let found = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    found.unwrap_or_else(|| format!("'#{uid}'"))
}
