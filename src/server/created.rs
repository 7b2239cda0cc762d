//! What a start creates in a data directory, removed again if the start fails.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::SECRETS;

/// What the program creates in the directory itself. The lock comes last: whoever holds it may remove the
/// rest.
const FILES: [&str; 4] = ["shop.db-wal", "shop.db-shm", "shop.db", "demo"];
const DIRECTORIES: [&str; 3] = ["keys", "images", "mail"];
pub(super) const LOCK: &str = "lock";

/// The paths that did not exist before, in the order in which they are removed.
#[derive(Debug)]
pub(super) struct Created {
    /// Files, and directories with everything in them.
    own: Vec<PathBuf>,
    /// The data directory and its parents, which are removed only if they are empty.
    parents: Vec<PathBuf>,
}

impl Created {
    /// Notes what does not exist yet. Everything that comes into being later is this program's, as long as it
    /// holds the lock. Where there is a database already, nothing is ever removed: its log is a part of it.
    pub(super) fn from_here_on(root: &Path) -> Created {
        if !is_missing(&root.join("shop.db")) {
            return Created {
                own: Vec::new(),
                parents: Vec::new(),
            };
        }
        let in_keys = SECRETS.iter().map(|name| root.join("keys").join(name));
        let own = in_keys
            .chain([root.join("images").join(".mark")])
            .chain(FILES.iter().map(|name| root.join(name)))
            .chain(DIRECTORIES.iter().map(|name| root.join(name)))
            .chain([root.join(LOCK)])
            .filter(|path| is_missing(path))
            .collect();
        let is_named = |path: &&Path| !path.as_os_str().is_empty();
        let parents = root
            .ancestors()
            .take_while(is_named)
            .take_while(|path| is_missing(path))
            .map(Path::to_owned)
            .collect();
        Created { own, parents }
    }

    /// Removes what has come into being since. Only the holder of the lock may call it.
    pub(super) fn remove(&self) {
        for path in &self.own {
            let removed = if path.is_dir() {
                fs::remove_dir_all(path)
            } else {
                fs::remove_file(path)
            };
            warn_unless_gone(path, removed);
        }
        self.remove_directories();
    }

    /// Removes the directories alone, where nothing is in them.
    pub(super) fn remove_directories(&self) {
        for path in &self.parents {
            // Somebody else has put something there meanwhile: it is theirs now.
            if fs::remove_dir(path).is_err() {
                break;
            }
        }
    }
}

fn warn_unless_gone(path: &Path, removed: io::Result<()>) {
    if let Err(error) = removed
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "cannot remove what a failed start created");
    }
}

fn is_missing(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}
