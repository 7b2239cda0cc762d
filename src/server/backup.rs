//! Makes backups of a shop, while servers use it.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::ErrorKind,
    path::Path,
};

use serde::Serialize;
use tokio::runtime::Handle;

use super::{DataDir, SECRETS, file_owner::cannot, image_store, startup};
use crate::{
    core::{
        clock::Timestamp,
        error::{Error, Kind, Result},
    },
    domain::media,
    infra::{
        backup::{Base, Images, Manifest, Place, StoredIn, archive, archive_name},
        config::Config,
        db::{
            Location, snapshot,
            sqlite::wal::{Mark, Position},
        },
    },
};

/// The beginning of the names of temporary directories in the data directory.
const TEMPORARY: &str = ".backup-";

/// The niceness of the thread that makes or checks a backup, so that requests go first.
const NICENESS: i32 = 15;

/// Where a backup goes.
#[derive(Clone)]
pub enum Target {
    /// A place, under a name with the time. Images that the place has are not copied again.
    Place(Place),
    /// A single file with everything: a directory and a name.
    File(Place, String),
}

/// A backup that was made.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Backup {
    /// The path or URL of the archive.
    pub archive: String,
    pub created_at: Timestamp,
    /// The size of the archive in bytes.
    pub size: u64,
    pub orders: u64,
    pub products: u64,
    /// How many images it has, in the archive or in the place.
    pub images: usize,
    /// How many images are only listed, because the shop stores them in a bucket or at an image host.
    pub listed_images: u64,
    /// The images that the database names and the image directory does not have.
    pub missing_images: Vec<String>,
}

/// A step of a backup: what is counted, how much is done, and how much there is to do.
pub type Progress<'a> = dyn FnMut(&'static str, u64, u64) + Send + 'a;

/// Returns the configured backup place, or else the folder `backups` in the data directory.
///
/// Errors: `Config` if the URL is invalid.
pub fn place(config: &Config) -> Result<Place> {
    match &config.backup_url {
        Some(url) => Place::open(url, &image_store::aws_variables()?),
        None => Place::directory(&config.data_dir.join("backups")),
    }
}

/// Checks the settings of backups. Errors: `Config`.
pub(super) fn check(config: &Config) -> Result<()> {
    place(config)?;
    if !config.backup_wal {
        return Ok(());
    }
    if config.database_url.is_some() {
        return Err(Error::config(
            "`SHOP_BACKUP_WAL` is for SQLite: Postgres archives its WAL itself (docs/postgres.md); turn it off",
        ));
    }
    if config.backup_url.is_none() {
        return Err(Error::config(
            "`SHOP_BACKUP_WAL` needs `SHOP_BACKUP_URL`, a directory on another disk or a bucket",
        ));
    }
    Ok(())
}

/// Makes a backup of the configured shop, on a thread of low priority.
///
/// Errors: `Unavailable`, `StorageFull`. Nothing incomplete is left at the target.
pub async fn back_up(
    config: &Config,
    target: Target,
    now: Timestamp,
    mut progress: impl FnMut(&'static str, u64, u64) + Send + 'static,
) -> Result<Backup> {
    let (config, runtime) = (config.clone(), Handle::current());
    on_a_thread(move || {
        let work = Work {
            config: &config,
            runtime: &runtime,
            now,
        };
        work.run(&target, &mut progress)
    })
    .await
}

/// Reads an archive back from its place and checks its checksums, on a thread of low priority.
///
/// Errors: `CommandFailed` if it is missing or damaged, `Unavailable` if it cannot be read.
pub async fn read_back(place: &Place, name: &str) -> Result<()> {
    let (place, name, runtime) = (place.clone(), name.to_owned(), Handle::current());
    on_a_thread(move || {
        let read = place
            .read(&name, &runtime)
            .and_then(|input| archive::read(input, &mut |_, _, _| Ok(())));
        read.map(drop).map_err(|error| {
            let detail = format!("`{}`: {}", place.path_of(&name), error.detail());
            Error::new(error.kind(), detail).caused_by(error)
        })
    })
    .await
}

/// Runs `work` on a thread of low priority.
async fn on_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let (reply, done) = tokio::sync::oneshot::channel();
    let work = move || {
        // Only this thread's priority changes.
        if let Err(error) = rustix::process::nice(NICENESS) {
            tracing::debug!(%error, "the backup runs with normal priority");
        }
        drop(reply.send(work()));
    };
    std::thread::Builder::new()
        .name("backup".into())
        .spawn(work)
        .map_err(Error::internal)?;
    done.await.map_err(Error::internal)?
}

struct Work<'a> {
    config: &'a Config,
    runtime: &'a Handle,
    now: Timestamp,
}

impl Work<'_> {
    fn run(&self, target: &Target, progress: &mut Progress<'_>) -> Result<Backup> {
        let data_dir = DataDir::open(&self.config.data_dir)?;
        let place = match target {
            Target::Place(place) | Target::File(place, _) => place,
        };
        if matches!(target, Target::Place(_)) {
            place.prepare()?;
        }
        remove_leftovers(data_dir.root());
        let temporary = tempfile::Builder::new()
            .prefix(TEMPORARY)
            .tempdir_in(data_dir.root())
            .map_err(|error| cannot("write", data_dir.root(), &error))?;
        let database = temporary.path().join(archive::DATABASE);
        let location = startup::location(self.config)?;
        let no_space = |error| no_space(error, data_dir.root());
        let position = archive_position(&location)?;
        let mut copied = |done, total| progress("database", done, total);
        let mark = snapshot::copy(&location, &database, &mut copied).map_err(no_space)?;
        // Archived frames cannot be applied to a database that was edited.
        let is_base = matches!(target, Target::Place(_))
            && mark.is_some()
            && !snapshot::has_settings(&database, &SECRETS)?;
        if !is_base {
            // Without the keys, whoever finds a backup cannot sign tokens or webhooks with it.
            snapshot::remove_settings(&database, &SECRETS).map_err(no_space)?;
        }
        let mut manifest = self.manifest(&location, &database)?;
        if is_base {
            manifest.base = base(position, mark, archive_position(&location)?);
        }
        let missing = match (target, manifest.images.stored_in) {
            (_, StoredIn::ImageStore) => Vec::new(),
            (Target::Place(place), _) => {
                manifest.images.stored_in = StoredIn::Place;
                self.copy_images(&data_dir, place, &manifest.images.names, progress)?
            }
            (Target::File(..), _) => missing_images(&data_dir, &manifest.images.names),
        };
        let name = match target {
            Target::Place(_) => archive_name(self.now),
            Target::File(_, name) => name.clone(),
        };
        let size = place.write(&name, self.runtime, |out| {
            let mut writer = archive::Writer::new(out, &manifest)?;
            add_file(&mut writer, archive::DATABASE, &database)?;
            if manifest.images.stored_in == StoredIn::Archive {
                add_images(&mut writer, &data_dir, &manifest.images.names, progress)?;
            }
            writer.finish().map(drop)
        })?;
        let rows = |table| manifest.rows.get(table).copied().unwrap_or_default();
        let names = manifest.images.names.len();
        let is_copied = manifest.images.stored_in != StoredIn::ImageStore;
        let listed = if is_copied { 0 } else { names as u64 };
        Ok(Backup {
            archive: place.path_of(&name),
            created_at: self.now,
            size,
            orders: rows("orders"),
            products: rows("products"),
            images: if is_copied { names - missing.len() } else { 0 },
            listed_images: listed + manifest.images.hosted,
            missing_images: missing,
        })
    }

    fn manifest(&self, location: &Location, database: &Path) -> Result<Manifest> {
        let facts = snapshot::facts(database)?;
        let (names, hosted) = snapshot::files(database, media::IMAGE_FILES)?;
        let stored_in = if self.config.stores_images_locally() {
            StoredIn::Archive
        } else {
            StoredIn::ImageStore
        };
        let engine = match location {
            Location::Sqlite(_) => "sqlite",
            Location::Postgres(_) => "postgres",
        };
        let images = Images {
            stored_in,
            names,
            hosted,
        };
        let created_at = self.now.to_string();
        Ok(Manifest::new(
            engine,
            created_at,
            facts.schema,
            facts.seq,
            facts.rows,
            images,
        ))
    }

    /// Copies the images that the place does not have yet. Returns those that are missing.
    fn copy_images(
        &self,
        data_dir: &DataDir,
        place: &Place,
        names: &[String],
        progress: &mut Progress<'_>,
    ) -> Result<Vec<String>> {
        let stored: BTreeSet<String> = self.runtime.block_on(place.images())?.into_keys().collect();
        let mut missing = Vec::new();
        for (done, name) in names.iter().enumerate() {
            progress("images", done as u64, names.len() as u64);
            if stored.contains(name) {
                continue;
            }
            let path = data_dir.images().join(name);
            match fs::read(&path) {
                Ok(image) => self.runtime.block_on(place.put_image(name, image.into()))?,
                Err(error) if error.kind() == ErrorKind::NotFound => missing.push(name.clone()),
                Err(error) => return Err(cannot("read", &path, &error)),
            }
        }
        Ok(missing)
    }
}

/// Returns how far the WAL archive has come, if the shop has one.
fn archive_position(location: &Location) -> Result<Option<Position>> {
    match location {
        Location::Sqlite(path) => Position::of(path),
        Location::Postgres(_) => Ok(None),
    }
}

/// Returns the position of a copy in the WAL archive. `before` and `after` are the archive's positions around it: a
/// generation that ended meanwhile cannot continue the copy.
fn base(before: Option<Position>, mark: Option<Mark>, after: Option<Position>) -> Option<Base> {
    let (before, mark, after) = (before?, mark?, after?);
    let restarts = mark.salts.restarts_since(before.header.salts());
    (before.generation == after.generation).then(|| Base {
        generation: before.generation,
        epoch: before.epoch.saturating_add(restarts),
        frames: mark.frames,
    })
}

/// Adds the place and a remedy to the error of a full disk.
fn no_space(error: Error, data_dir: &Path) -> Error {
    if error.kind() != Kind::StorageFull {
        return error;
    }
    let detail = format!(
        "the disk of `{}` is full: a backup needs space there for a copy of the database; make space, then \
         try again",
        data_dir.display()
    );
    Error::new(Kind::StorageFull, detail).caused_by(error)
}

fn missing_images(data_dir: &DataDir, names: &[String]) -> Vec<String> {
    let is_missing = |name: &&String| !data_dir.images().join(name).is_file();
    names.iter().filter(is_missing).cloned().collect()
}

/// Adds the images to the archive. One that was deleted after the snapshot is left out.
fn add_images<W: std::io::Write>(
    writer: &mut archive::Writer<W>,
    data_dir: &DataDir,
    names: &[String],
    progress: &mut Progress<'_>,
) -> Result<()> {
    for (done, name) in names.iter().enumerate() {
        progress("images", done as u64, names.len() as u64);
        let path = data_dir.images().join(name);
        if path.is_file() {
            add_file(writer, &format!("{}/{name}", archive::IMAGES), &path)?;
        }
    }
    Ok(())
}

fn add_file<W: std::io::Write>(
    writer: &mut archive::Writer<W>,
    name: &str,
    path: &Path,
) -> Result<()> {
    let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
    let (size, file) = opened.map_err(|error| cannot("read", path, &error))?;
    writer.add(name, size, file)
}

/// Removes the temporary directories of backups that were killed. One that is in use is younger than a day.
fn remove_leftovers(root: &Path) {
    const MIN_AGE: std::time::Duration = std::time::Duration::from_hours(24);
    let Ok(entries) = fs::read_dir(root) else {
        return;
    };
    for entry in entries.flatten() {
        let is_temporary = entry.file_name().to_string_lossy().starts_with(TEMPORARY);
        let age = entry.metadata().and_then(|found| found.modified());
        let is_old = age.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > MIN_AGE));
        if is_temporary && is_old {
            remove_directory(&entry.path());
        }
    }
}

/// Removes a temporary directory.
pub(super) fn remove_directory(path: &Path) {
    if let Err(error) = fs::remove_dir_all(path) {
        tracing::warn!(path = %path.display(), %error, "cannot remove a temporary directory");
    }
}
