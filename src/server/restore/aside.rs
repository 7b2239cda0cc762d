//! Keeps the files that a restore replaces.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use super::create;
use crate::{core::error::Result, infra::backup::archive, server::file_owner::cannot};

/// The directory that keeps the replaced data. It is created when the first file is added.
pub(super) struct Aside {
    path: PathBuf,
}

impl Aside {
    pub(super) fn new(path: PathBuf) -> Aside {
        Aside { path }
    }

    /// Returns the path, if anything was added.
    pub(super) fn existing(&self) -> Option<String> {
        let path = &self.path;
        path.exists().then(|| path.display().to_string())
    }

    /// Moves a file here.
    pub(super) fn take(&self, file: &Path, name: &str) -> Result<()> {
        create(&self.path)?;
        fs::rename(file, self.path.join(name)).map_err(|error| cannot("move", file, &error))
    }

    /// Adds a file under a second name, or a copy of it where the file system has no links.
    pub(super) fn link(&self, file: &Path, name: &str) -> Result<()> {
        create(&self.path)?;
        let to = self.path.join(name);
        fs::hard_link(file, &to)
            .or_else(|_| fs::copy(file, &to).map(drop))
            .and_then(|()| File::open(&self.path)?.sync_all())
            .map_err(|error| cannot("copy", file, &error))
    }

    pub(super) fn link_images(&self, images: &Path) -> Result<()> {
        let folder = self.path.join(archive::IMAGES);
        create(&folder)?;
        let entries = fs::read_dir(images).map_err(|error| cannot("read", images, &error))?;
        for entry in entries.flatten() {
            let (from, to) = (entry.path(), folder.join(entry.file_name()));
            if from.is_file() {
                fs::hard_link(&from, &to)
                    .or_else(|_| fs::copy(&from, &to).map(drop))
                    .map_err(|error| cannot("copy", &from, &error))?;
            }
        }
        Ok(())
    }
}
