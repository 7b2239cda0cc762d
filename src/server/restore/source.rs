//! The archive that is restored: finding it, and unpacking it beside the shop.

use std::{fs, path::Path};

use tokio::runtime::Handle;

use super::create;
use crate::{
    core::{
        clock::Timestamp,
        error::{Error, Kind, Result},
    },
    domain::media,
    infra::{
        backup::{Manifest, Place, Replayed, Stored, StoredIn, archive, replay},
        db::{migrate, snapshot},
        file_modes::open_options,
    },
    server::{backup::Progress, file_owner::cannot, image_store},
};

/// An archive in a place, or a moment that the place can restore.
#[derive(Clone)]
pub struct Source {
    pub place: Place,
    pub name: String,
    /// The archives before it, newest first. They are tried if it contains commits after `until`.
    older: Vec<String>,
    /// Whether the archived WAL is applied, too.
    replays: bool,
    /// The time up to which it is applied; `None` applies everything.
    until: Option<Timestamp>,
}

/// What was unpacked.
pub struct Unpacked {
    /// The name of the archive.
    pub archive: String,
    pub manifest: Manifest,
    /// The time of the last commit that was applied to the archive's database.
    pub replayed_to: Option<Timestamp>,
    /// What is wrong with the images of the place that are damaged.
    pub damaged_images: Vec<String>,
}

impl Source {
    /// Finds the archive that `text` names: a file, or else the newest one of a directory or a bucket that was made
    /// before `until`.
    ///
    /// Errors: `Config` for an invalid URL, or a time and a file; `CommandFailed` if there is none.
    pub async fn find(text: &str, until: Option<Timestamp>) -> Result<Source> {
        let in_bucket = text.strip_prefix("s3://");
        if let Some((place, name)) = in_bucket.and_then(|rest| rest.rsplit_once('/'))
            && name.ends_with(".tar.gz")
        {
            let place = Place::open(&format!("s3://{place}"), &image_store::aws_variables()?)?;
            return Source::archive(place, name, until);
        }
        let path = Path::new(text.strip_prefix("file://").unwrap_or(text));
        let is_file = path.is_file() || (text.ends_with(".tar.gz") && !path.is_dir());
        if let Some(name) = path.file_name().filter(|_| in_bucket.is_none() && is_file) {
            let parent = path.parent().filter(|it| !it.as_os_str().is_empty());
            let place = Place::directory(parent.unwrap_or(Path::new(".")))?;
            return Source::archive(place, &name.to_string_lossy(), until);
        }
        let place = Place::open(text, &image_store::aws_variables()?)?;
        let archives = place.archives().await?;
        let Some(oldest) = archives.last().map(|it| it.created_at) else {
            return Err(Error::command_failed(format!(
                "no backup found at `{text}`"
            )));
        };
        let is_before = |it: &Stored| until.is_none_or(|until| it.created_at <= until);
        let mut names = archives.into_iter().filter(is_before).map(|it| it.name);
        let Some(name) = names.next() else {
            return Err(Error::command_failed(format!(
                "the oldest backup at `{text}` is of {oldest}: choose a later time"
            )));
        };
        Ok(Source {
            name,
            older: names.collect(),
            place,
            replays: true,
            until,
        })
    }

    fn archive(place: Place, name: &str, until: Option<Timestamp>) -> Result<Source> {
        if until.is_some() {
            return Err(Error::config(
                "`--to` needs a backup place, which holds the archived WAL: name its directory or bucket instead of \
                 one file",
            ));
        }
        Ok(Source {
            place,
            name: name.to_owned(),
            older: Vec::new(),
            replays: false,
            until: None,
        })
    }

    /// Unpacks the archive into a directory, with the images of its place, and checks it. Applies the archived WAL if
    /// the source is a place. Blocks, in a thread of the runtime `runtime`.
    ///
    /// Errors: `CommandFailed` if it is damaged or not a backup, or a newer version of the program has made it.
    pub fn unpack(
        &self,
        directory: &Path,
        runtime: &Handle,
        progress: &mut Progress<'_>,
    ) -> Result<Unpacked> {
        let database = directory.join(archive::DATABASE);
        for name in std::iter::once(&self.name).chain(&self.older) {
            let mut manifest = self.unpack_archive(name, directory, runtime, progress)?;
            let replayed_to = match self.replay(name, &manifest, &database, runtime, progress)? {
                Replayed::To(time) => {
                    describe(&mut manifest, &database)?;
                    Some(time)
                }
                Replayed::Nothing => None,
                Replayed::BaseTooNew => {
                    remove(&database)?;
                    continue;
                }
            };
            let damaged_images = if manifest.images.stored_in == StoredIn::Place {
                let images = directory.join(archive::IMAGES);
                self.fetch_images(&manifest, &images, runtime, progress)?
            } else {
                Vec::new()
            };
            return Ok(Unpacked {
                archive: self.place.path_of(name),
                manifest,
                replayed_to,
                damaged_images,
            });
        }
        let place = self.place.path_of("");
        Err(Error::command_failed(format!(
            "`{place}` has no backup from before this time: choose a later one"
        )))
    }

    /// Applies the archived WAL to the database of an archive.
    fn replay(
        &self,
        name: &str,
        manifest: &Manifest,
        database: &Path,
        runtime: &Handle,
        progress: &mut Progress<'_>,
    ) -> Result<Replayed> {
        if !self.replays {
            return Ok(Replayed::Nothing);
        }
        let mut progress = |done, total| progress("WAL segments", done, total);
        match &manifest.base {
            Some(base) => replay(
                &self.place,
                base,
                database,
                self.until,
                runtime,
                &mut progress,
            ),
            None if self.until.is_none() => Ok(Replayed::Nothing),
            None => {
                let archive = self.place.path_of(name);
                let remedy = if manifest.engine == "sqlite" {
                    "no WAL was archived after it (`SHOP_BACKUP_WAL`)"
                } else {
                    "Postgres archives its WAL itself (docs/postgres.md)"
                };
                Err(Error::command_failed(format!(
                    "the last backup before this time is `{archive}`, of {}, and {remedy}; to restore that backup, \
                     name its file instead of `--to`",
                    manifest.created_at
                )))
            }
        }
    }

    fn unpack_archive(
        &self,
        name: &str,
        directory: &Path,
        runtime: &Handle,
        progress: &mut Progress<'_>,
    ) -> Result<Manifest> {
        let failed = |error: &Error| {
            let detail = format!("`{}`: {}", self.place.path_of(name), error.detail());
            Error::new(error.kind(), detail)
        };
        create(&directory.join(archive::IMAGES))?;
        let input = self.place.read(name, runtime)?;
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
            written
                .map(drop)
                .map_err(|error| cannot("write", &path, &error))
        });
        let manifest = manifest.map_err(|error| failed(&error))?;
        if manifest.schema > i64::from(migrate::latest_version()) {
            let program = &manifest.program;
            let why =
                format!("version {program} of `shop` made it; use that version or a newer one");
            return Err(failed(&Error::command_failed(why)));
        }
        Ok(manifest)
    }

    /// Fetches the images that the manifest names. Returns what is wrong with the damaged ones, which are left out: a
    /// shop without an image is better than no shop.
    fn fetch_images(
        &self,
        manifest: &Manifest,
        images: &Path,
        runtime: &Handle,
        progress: &mut Progress<'_>,
    ) -> Result<Vec<String>> {
        let stored = runtime.block_on(self.place.images())?;
        let names = &manifest.images.names;
        let mut damaged = Vec::new();
        for (done, name) in names.iter().enumerate() {
            progress("images", done as u64, names.len() as u64);
            let Some(image) = stored.get(name) else {
                continue;
            };
            match runtime.block_on(self.place.get_image(image)) {
                Ok(Some(image)) => {
                    let path = images.join(name);
                    fs::write(&path, image).map_err(|error| cannot("write", &path, &error))?;
                }
                Ok(None) => {}
                Err(error) if error.kind() == Kind::CommandFailed => {
                    damaged.push(error.detail().to_owned());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(damaged)
    }
}

/// Describes the database after archived commits were applied.
fn describe(manifest: &mut Manifest, database: &Path) -> Result<()> {
    let facts = snapshot::facts(database)?;
    (manifest.rows, manifest.seq, manifest.schema) = (facts.rows, facts.seq, facts.schema);
    (manifest.images.names, manifest.images.hosted) =
        snapshot::files(database, media::IMAGE_FILES)?;
    Ok(())
}

fn remove(database: &Path) -> Result<()> {
    fs::remove_file(database).map_err(|error| cannot("remove", database, &error))
}
