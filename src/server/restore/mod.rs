//! Restores a backup into the data directory or the Postgres database.
//!
//! Everything is unpacked and checked beside the shop first. Then the old data is kept under a dated name, and the
//! database is replaced in one step: the rename of a file, or one transaction. A restore that is killed leaves either
//! the old or the new database, whole. Images have unique names, so those of both can be in one folder meanwhile.

mod aside;
mod source;

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::Path,
};

use serde::Serialize;
use tokio::runtime::Handle;

pub use self::source::Source;
use self::{aside::Aside, source::Unpacked};
use super::{
    DataDir, SECRETS, ServerLock,
    backup::{Progress, remove_directory},
    file_owner::cannot,
    image_store, startup,
};
use crate::{
    core::{
        clock::Timestamp,
        error::{Error, Kind, Result},
    },
    infra::{
        backup::{Manifest, StoredIn, archive},
        config::Config,
        db::{Location, migrate, snapshot},
        file_modes,
    },
};

/// The beginning of the names of temporary directories in the data directory.
const TEMPORARY: &str = ".restore-";

/// The beginning of the names of the directories that keep old data.
const OLD_DATA: &str = "before-restore-";

/// The files of the database.
const DATABASE_FILES: [&str; 3] = ["shop.db", "shop.db-wal", "shop.db-shm"];

/// The state of the WAL archive.
const ARCHIVE: &str = "shop.db-archive";

/// A backup that was restored.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Restored {
    pub archive: String,
    /// When the backup was made.
    pub created_at: String,
    /// The time of the last commit that was restored from the archived WAL.
    pub replayed_to: Option<Timestamp>,
    pub orders: u64,
    pub products: u64,
    /// The number of images that were restored.
    pub images: u64,
    /// The images that the database names and the backup does not have.
    pub missing_images: Vec<String>,
    /// What is wrong with damaged images, which are missing, too.
    pub damaged_images: Vec<String>,
    /// The sequence number at which events continue.
    pub seq: i64,
    /// The directory with the data that was replaced, if there was any.
    pub old_data: Option<String>,
    /// The Postgres schema with the data that was replaced.
    pub old_schema: Option<String>,
    /// The keys that the next start generates.
    pub new_keys: Vec<&'static str>,
}

/// What to do beside restoring the data.
pub struct Options {
    /// Whether to replace an existing shop.
    pub force: bool,
    /// The keys of a key export.
    pub keys: Vec<(&'static str, String)>,
    pub now: Timestamp,
}

/// What the restore replaces.
enum Existing {
    Nothing,
    Shop,
    /// A `SQLite` file that cannot be opened.
    Damaged,
}

/// Restores a backup into the configured shop, which must not exist unless `options.force` is set.
///
/// Errors: `CommandFailed` if the shop exists, a server is running, or the backup is damaged; `Unavailable`,
/// `StorageFull`. Nothing was changed then.
pub async fn restore(
    config: &Config,
    source: Source,
    options: Options,
    mut progress: impl FnMut(&'static str, u64, u64) + Send + 'static,
) -> Result<Restored> {
    let location = startup::location(config)?;
    let existing = existing(&location, options.force).await?;
    if matches!(existing, Existing::Shop) && !options.force {
        return Err(Error::command_failed(format!(
            "{} holds a shop; use an empty `--data-dir` or database, or add `--force` to replace it and keep its \
             data under another name",
            location.name()
        )));
    }
    let (config, runtime) = (config.clone(), Handle::current());
    let restored = tokio::task::spawn_blocking(move || {
        let (data_dir, lock) = DataDir::claim(&config.data_dir)?;
        let work = Work {
            config: &config,
            runtime: &runtime,
            data_dir: &data_dir,
            location: &location,
            options: &options,
        };
        let restored = work.run(&source, &existing, &mut progress);
        finish(lock, restored)
    });
    restored.await.map_err(Error::internal)?
}

/// Removes what a failed restore created.
fn finish(lock: ServerLock, restored: Result<Restored>) -> Result<Restored> {
    if restored.is_err() {
        lock.undo();
    }
    restored
}

async fn existing(location: &Location, force: bool) -> Result<Existing> {
    match (location.check().await, location) {
        (Ok(None), _) => Ok(Existing::Nothing),
        (Ok(Some(_)), Location::Sqlite(_)) => Ok(Existing::Shop),
        (Ok(Some(_)), Location::Postgres(_)) => {
            // An interrupted restore leaves tables without rows. Every shop that was opened has a currency.
            let location = location.clone();
            let read = move || snapshot::replaced(&location, &["currency"]);
            let found = tokio::task::spawn_blocking(read);
            let found = found.await.map_err(Error::internal)??;
            Ok(if found.settings.is_empty() {
                Existing::Nothing
            } else {
                Existing::Shop
            })
        }
        (Err(_), Location::Sqlite(_)) if force => Ok(Existing::Damaged),
        (Err(error), _) => Err(error),
    }
}

struct Work<'a> {
    config: &'a Config,
    runtime: &'a Handle,
    data_dir: &'a DataDir,
    location: &'a Location,
    options: &'a Options,
}

impl Work<'_> {
    fn run(
        &self,
        source: &Source,
        existing: &Existing,
        progress: &mut Progress<'_>,
    ) -> Result<Restored> {
        let root = self.data_dir.root();
        remove_leftovers(root);
        let staged = tempfile::Builder::new()
            .prefix(TEMPORARY)
            .tempdir_in(root)
            .map_err(|error| cannot("write", root, &error))?;
        let staged = staged.path();
        let Unpacked {
            archive: path,
            manifest,
            replayed_to,
            damaged_images,
        } = source.unpack(staged, self.runtime, progress)?;
        let database = staged.join(archive::DATABASE);
        // Now, so that a backup of an earlier version that cannot be migrated changes nothing.
        migrate::run(&Location::Sqlite(database.clone()))?;
        let names: &[&str] = &SECRETS;
        let replaced = match existing {
            Existing::Shop => snapshot::replaced(self.location, names)?,
            Existing::Nothing | Existing::Damaged => snapshot::Replaced::default(),
        };
        let seq = snapshot::restart_events(&database, replaced.head, self.options.now)?;
        sync_file_system(staged)?;

        // A dot would separate a schema from its table.
        let time = self.options.now.basic().replace('.', "");
        let aside = Aside::new(root.join(format!("{OLD_DATA}{time}")));
        let stored = self.store_images(staged, &manifest, existing, &aside)?;
        let new_keys = self.new_keys(&replaced.settings)?;
        let old_schema = match self.location {
            Location::Sqlite(_) => {
                self.place_file(&database, existing, &aside)?;
                self.place_keys(&aside)?;
                None
            }
            Location::Postgres(target) => {
                let schema = matches!(existing, Existing::Shop)
                    .then(|| format!("before_restore_{}", time.to_lowercase()));
                let settings = self.keys_in_database(&replaced.settings);
                snapshot::into_postgres(
                    &database,
                    target,
                    settings,
                    schema.as_deref(),
                    &mut |done, total| progress("rows", done, total),
                )?;
                schema
            }
        };
        let rows = |table| manifest.rows.get(table).copied().unwrap_or_default();
        Ok(Restored {
            archive: path,
            replayed_to,
            created_at: manifest.created_at.clone(),
            orders: rows("orders"),
            products: rows("products"),
            images: stored.0,
            missing_images: stored.1,
            damaged_images,
            seq,
            old_data: aside.existing(),
            old_schema,
            new_keys,
        })
    }

    /// Moves the unpacked images to where the shop stores its images. Returns how many there are, and the names of the
    /// missing ones. The images of the replaced shop are kept aside, because the new one would delete them.
    fn store_images(
        &self,
        staged: &Path,
        manifest: &Manifest,
        existing: &Existing,
        aside: &Aside,
    ) -> Result<(u64, Vec<String>)> {
        if manifest.images.stored_in == StoredIn::ImageStore {
            return Ok((0, Vec::new()));
        }
        let remote = image_store::remote(self.config)?;
        if self.config.cloudinary_url.is_some() && !manifest.images.names.is_empty() {
            return Err(Error::config(
                "this backup contains image files, which cannot be restored to Cloudinary; unset `CLOUDINARY_URL` \
                 and restore them to `images/` or `SHOP_IMAGES_URL`",
            ));
        }
        let images = self.data_dir.images();
        if remote.is_none() {
            create(&images)?;
            if !matches!(existing, Existing::Nothing) {
                aside.link_images(&images)?;
            }
        }
        let (mut count, mut missing) = (0, Vec::new());
        for name in &manifest.images.names {
            let from = staged.join(archive::IMAGES).join(name);
            let failed = |error| cannot("write", &images.join(name), &error);
            match &remote {
                _ if !from.is_file() => {
                    missing.push(name.clone());
                    continue;
                }
                None => fs::rename(&from, images.join(name)).map_err(failed)?,
                Some(store) => {
                    let image = fs::read(&from).map_err(failed)?;
                    self.runtime.block_on(store.put(name, image.into()))?;
                }
            }
            count += 1;
        }
        if remote.is_none() {
            sync_directory(&images)?;
        }
        Ok((count, missing))
    }

    /// Puts the new database in the place of the old one.
    fn place_file(&self, database: &Path, existing: &Existing, aside: &Aside) -> Result<()> {
        let (root, path) = (self.data_dir.root(), self.data_dir.database());
        let is_whole = match existing {
            Existing::Nothing | Existing::Damaged => false,
            Existing::Shop => match snapshot::detach(&path) {
                Ok(()) => true,
                Err(error) if error.kind() == Kind::Unavailable => return Err(error),
                Err(_) => false,
            },
        };
        if is_whole {
            aside.link(&path, "shop.db")?;
        }
        // A WAL or shared-memory file beside another database would corrupt it.
        for name in DATABASE_FILES {
            let file = root.join(name);
            if !is_whole && file.exists() {
                aside.take(&file, name)?;
            }
        }
        // The new database begins a new generation.
        let archive = root.join(ARCHIVE);
        if archive.exists() {
            aside.take(&archive, ARCHIVE)?;
        }
        fs::rename(database, &path).map_err(|error| cannot("write", &path, &error))?;
        sync_directory(root)?;
        // The restored shop is not the demo that this directory may have been made for.
        let demo = root.join("demo");
        if demo.exists() {
            aside.take(&demo, "demo")?;
        }
        Ok(())
    }

    /// Stores the given keys in the data directory. Those that they replace are kept aside.
    fn place_keys(&self, aside: &Aside) -> Result<()> {
        for (name, value) in &self.options.keys {
            let stored = self.data_dir.existing_secret(name)?;
            if stored.is_some_and(|stored| stored != *value) {
                let file = self.data_dir.root().join("keys").join(name);
                aside.take(&file, name)?;
            }
            self.data_dir.store_secret(name, value)?;
        }
        Ok(())
    }

    /// Returns the keys that the restored Postgres database gets: the given ones, or else those of the replaced one.
    fn keys_in_database(&self, replaced: &[(String, String)]) -> Vec<(&'static str, String)> {
        let value = |name: &str| {
            let given = self.options.keys.iter().find(|(given, _)| *given == name);
            let old = || replaced.iter().find(|(old, _)| old == name);
            given
                .map(|(_, value)| value.clone())
                .or_else(|| old().map(|(_, value)| value.clone()))
        };
        SECRETS
            .into_iter()
            .filter_map(|name| Some((name, value(name)?)))
            .collect()
    }

    /// Returns the keys that the next start generates, because they are neither configured nor given nor kept.
    fn new_keys(&self, replaced: &[(String, String)]) -> Result<Vec<&'static str>> {
        // ACME orders another certificate by itself.
        let [jwt_secret, webhook_secret, ..] = SECRETS;
        let generated = [
            (jwt_secret, &self.config.jwt_secret),
            (webhook_secret, &self.config.razorpay_webhook_secret),
        ];
        let mut new = Vec::new();
        for (name, configured) in generated {
            let is_kept = match self.location {
                Location::Sqlite(_) => self.data_dir.existing_secret(name)?.is_some(),
                Location::Postgres(_) => replaced.iter().any(|(old, _)| old == name),
            };
            let is_given = self.options.keys.iter().any(|(given, _)| *given == name);
            if configured.is_empty() && !is_kept && !is_given {
                new.push(name);
            }
        }
        Ok(new)
    }
}

fn create(folder: &Path) -> Result<()> {
    file_modes::create_directory(folder).map_err(|error| cannot("create", folder, &error))
}

/// Removes what killed restores have left: temporary directories, and those for old data whose database is still the
/// current one, under a second name. The lock excludes a restore that is running.
fn remove_leftovers(root: &Path) {
    let file_id = |path: &Path| fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
    let current = file_id(&root.join(archive::DATABASE));
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    for entry in entries {
        let (name, path) = (entry.file_name(), entry.path());
        let name = name.to_string_lossy();
        let is_current = || current.is_some() && file_id(&path.join(archive::DATABASE)) == current;
        if name.starts_with(TEMPORARY) || (name.starts_with(OLD_DATA) && is_current()) {
            remove_directory(&path);
        }
    }
}

/// Syncs everything that was unpacked: much faster than syncing every image.
fn sync_file_system(directory: &Path) -> Result<()> {
    #[cfg(target_os = "linux")]
    let sync = |it: File| rustix::fs::syncfs(&it).map_err(std::io::Error::from);
    #[cfg(not(target_os = "linux"))]
    let sync = |_: File| {
        rustix::fs::sync();
        Ok(())
    };
    let synced = File::open(directory).and_then(sync);
    synced.map_err(|error| cannot("sync", directory, &error))
}

fn sync_directory(directory: &Path) -> Result<()> {
    let synced = File::open(directory).and_then(|it| it.sync_all());
    synced.map_err(|error| cannot("sync", directory, &error))
}
