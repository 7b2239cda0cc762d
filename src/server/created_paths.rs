//! The paths that a start creates in a data directory. A start that fails removes them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::SECRETS;

/// The files that the program creates in the directory itself.
const FILES: [&str; 4] = ["shop.db-wal", "shop.db-shm", "shop.db", "demo"];
const DIRECTORIES: [&str; 3] = ["keys", "images", "mail"];
/// The lock file. It is removed last, because only its holder may remove the rest.
pub(super) const LOCK: &str = "lock";

/// The paths that did not exist before the start, in the order of their removal.
#[derive(Debug)]
pub(super) struct CreatedPaths {
    /// Files, and directories that are removed with their content.
    own: Vec<PathBuf>,
    /// The data directory and its parents, which are removed only if they are empty.
    parents: Vec<PathBuf>,
}

impl CreatedPaths {
    /// Records the paths that do not exist yet. Whatever appears there later was created by this program, as
    /// long as it holds the lock. If there is a database already, nothing is removed, since its WAL is a part
    /// of it.
    pub(super) fn record(root: &Path) -> CreatedPaths {
        if !is_missing(&root.join("shop.db")) {
            return CreatedPaths {
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
        CreatedPaths { own, parents }
    }

    /// Removes what was created since. Only the holder of the lock may call it.
    pub(super) fn remove(&self) {
        for path in &self.own {
            let removed = if path.is_dir() {
                fs::remove_dir_all(path)
            } else {
                fs::remove_file(path)
            };
            warn_unless_removed(path, removed);
        }
        self.remove_empty_parents();
    }

    /// Removes the data directory and its parents if they are empty.
    pub(super) fn remove_empty_parents(&self) {
        for path in &self.parents {
            // Not empty: another program has created a file there meanwhile.
            if fs::remove_dir(path).is_err() {
                break;
            }
        }
    }
}

fn warn_unless_removed(path: &Path, removed: io::Result<()>) {
    if let Err(error) = removed
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "cannot remove a file of a failed start");
    }
}

fn is_missing(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}
