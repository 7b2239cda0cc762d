//! The archive that is restored: finding it, and unpacking it beside the shop.

use std::{fs, io::ErrorKind, path::Path};

use tokio::runtime::Handle;

use super::create;
use crate::{
    core::error::{Error, Kind, Result},
    infra::{
        backup::{Manifest, Place, StoredIn, archive},
        db::migrate,
        file_modes::open_options,
    },
    server::{backup::Progress, file_owner::cannot, image_store},
};

/// An archive in a place.
#[derive(Clone)]
pub struct Source {
    pub place: Place,
    pub name: String,
}

impl Source {
    /// Finds the archive that `text` names: a file, or else the newest one of a directory or a bucket.
    ///
    /// Errors: `Config` for an invalid URL, `CommandFailed` if there is none.
    pub async fn find(text: &str) -> Result<Source> {
        let in_bucket = text.strip_prefix("s3://");
        if let Some((place, name)) = in_bucket.and_then(|rest| rest.rsplit_once('/'))
            && name.ends_with(".tar.gz")
        {
            return Ok(Source {
                place: Place::open(&format!("s3://{place}"), &image_store::aws_variables())?,
                name: name.to_owned(),
            });
        }
        let path = Path::new(text.strip_prefix("file://").unwrap_or(text));
        let is_file = path.is_file() || (text.ends_with(".tar.gz") && !path.is_dir());
        if let Some(name) = path.file_name().filter(|_| in_bucket.is_none() && is_file) {
            let parent = path.parent().filter(|it| !it.as_os_str().is_empty());
            return Ok(Source {
                place: Place::directory(parent.unwrap_or(Path::new(".")))?,
                name: name.to_string_lossy().into_owned(),
            });
        }
        let place = Place::open(text, &image_store::aws_variables())?;
        match place.archives().await?.into_iter().next() {
            Some(newest) => Ok(Source {
                place,
                name: newest.name,
            }),
            None => Err(Error::command_failed(format!(
                "no backup found at `{text}`"
            ))),
        }
    }

    /// Returns the path or URL of the archive.
    pub fn path(&self) -> String {
        self.place.path_of(&self.name)
    }

    /// Unpacks the archive into a directory, with the images of its place, and checks it. Blocks, in a thread of the
    /// runtime `runtime`. Returns the manifest.
    ///
    /// Errors: `CommandFailed` if it is damaged, or a newer version of the program has made it.
    pub fn unpack(
        &self,
        directory: &Path,
        runtime: &Handle,
        progress: &mut Progress<'_>,
    ) -> Result<Manifest> {
        let failed = |error: &Error| {
            let detail = format!("`{}`: {}", self.path(), error.detail());
            Error::new(error.kind(), detail)
        };
        let images = directory.join(archive::IMAGES);
        create(&images)?;
        let input = self.place.read(&self.name, runtime)?;
        let mut unpacked = 0;
        let manifest = archive::read(input, &mut |manifest, name, content| {
            progress("images", unpacked, manifest.images.names.len() as u64);
            unpacked += 1;
            let path = directory.join(name);
            let written = open_options()
                .write(true)
                .create_new(true)
                .open(&path)
                .and_then(|mut file| std::io::copy(content, &mut file));
            written.map(drop).map_err(|error| match error.kind() {
                ErrorKind::StorageFull => {
                    Error::new(Kind::StorageFull, "the disk is full; nothing was changed")
                }
                _ => cannot("write", &path, &error),
            })
        });
        let manifest = manifest.map_err(|error| failed(&error))?;
        if manifest.schema > i64::from(migrate::latest_version()) {
            let program = &manifest.program;
            let why =
                format!("version {program} of `shop` made it; use that version or a newer one");
            return Err(failed(&Error::command_failed(why)));
        }
        if manifest.images.stored_in == StoredIn::Place {
            self.fetch_images(&manifest, &images, runtime, progress)?;
        }
        Ok(manifest)
    }

    fn fetch_images(
        &self,
        manifest: &Manifest,
        images: &Path,
        runtime: &Handle,
        progress: &mut Progress<'_>,
    ) -> Result<()> {
        let names = &manifest.images.names;
        for (done, name) in names.iter().enumerate() {
            progress("images", done as u64, names.len() as u64);
            let image = match runtime.block_on(self.place.get_image(name)) {
                Ok(image) => image,
                Err(error) if error.kind() == Kind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let path = images.join(name);
            fs::write(&path, image).map_err(|error| cannot("write", &path, &error))?;
        }
        Ok(())
    }
}
