//! `shop transfer`: moves the shop between `SQLite` and Postgres.

use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;
use tokio::runtime::Handle;

use super::{
    config_sources::ConfigSources, migrate::check_schema, output::Output, progress,
    shop_not_found::source_not_found,
};
use crate::{
    core::error::{Error, Kind, Result},
    domain::media,
    infra::{
        config::Config,
        db::{
            Location, migrate,
            transfer::{CopiedTable, ExternalData, for_each_file, transfer},
        },
        ports::{ImageStore, Objects, images::read_all},
    },
    server::{self, DataDir},
};

pub(super) async fn run(config: Config, sources: &ConfigSources, output: Output) -> Result<()> {
    let endpoints = Endpoints::resolve(&config, sources)?;
    server::check_owner(endpoints.source.root())?;
    server::check_owner(endpoints.target.root())?;
    let Some(version) = endpoints.from.check().await? else {
        return Err(source_not_found(&endpoints.from));
    };
    check_schema(version)?;
    reject_earlier_shop(&endpoints.to).await?;
    let tables = tokio::task::spawn_blocking(move || endpoints.transfer(&config));
    let tables = tables.await.map_err(Error::internal)??;
    output.table(&["table", "rows", "sha256"], &tables, |table| {
        vec![
            table.table.clone(),
            table.rows.to_string(),
            table.sha256.clone(),
        ]
    })
}

/// Errors: `CommandFailed` if the target has the schema of an earlier version, which only a shop can have.
async fn reject_earlier_shop(target: &Location) -> Result<()> {
    match target.check().await? {
        Some(version) if !migrate::pending(version).is_empty() => {
            Err(Error::command_failed(format!(
                "the target is not empty: {} holds a shop with the schema V{version}; use a new database",
                target.name()
            )))
        }
        _ => Ok(()),
    }
}

/// The two databases with their data directories.
struct Endpoints {
    from: Location,
    to: Location,
    source: DataDir,
    target: DataDir,
}

impl Endpoints {
    /// Errors: `Config` if there is no target, or a URL is invalid.
    fn resolve(config: &Config, sources: &ConfigSources) -> Result<Endpoints> {
        let to = sources.flag_or_variable("transfer_to").ok_or_else(|| {
            Error::config(
                "no target; set `--to`, or `SHOP_TRANSFER_TO` if the URL contains a password, to \
                 `postgres://user@host/name` or `sqlite:DIR/shop.db`",
            )
        })?;
        let to = Location::parse(to)?;
        let configured = DataDir::at(&config.data_dir);
        let from = match (
            sources.flag_or_variable("transfer_from"),
            &config.database_url,
        ) {
            (Some(url), _) => Location::parse(url)?,
            (None, Some(url)) => Location::parse(url.expose_secret())?,
            (None, None) => Location::Sqlite(configured.database()),
        };
        Ok(Endpoints {
            source: data_dir_of(&from, &configured)?,
            target: data_dir_of(&to, &configured)?,
            from,
            to,
        })
    }

    /// Locks both data directories and copies everything. Blocks.
    fn transfer(&self, config: &Config) -> Result<Vec<CopiedTable>> {
        // The lock is held to the end, so that no server starts to write in the meantime.
        let source_lock = match &self.from {
            Location::Sqlite(_) => Some(DataDir::existing(self.source.root())?.lock()?),
            Location::Postgres(_) => None,
        };
        let has_image_files = config.stores_images_locally();
        if has_image_files {
            self.check_image_files()?;
        }
        let target_lock = if source_lock.is_some() && self.source.root() == self.target.root() {
            None
        } else {
            Some(DataDir::claim(self.target.root())?.1)
        };
        let copied = self.copy(has_image_files);
        if let Some(lock) = target_lock.filter(|_| copied.is_err()) {
            lock.undo();
        }
        copied
    }

    /// Errors: `CommandFailed` if an image file is in neither data directory.
    fn check_image_files(&self) -> Result<()> {
        let directories = [self.source.images(), self.target.images()];
        let (mut total, mut missing) = (0_u64, Vec::new());
        for_each_file(&self.from, media::IMAGE_FILES, &mut |key| {
            total += 1;
            let exists = |directory: &PathBuf| directory.join(key).is_file();
            if !directories.iter().any(exists) {
                missing.push(key.to_owned());
            }
            Ok(())
        })?;
        let Some(first) = missing.first() else {
            return Ok(());
        };
        let [directory, _] = directories;
        let directory = std::path::absolute(&directory).unwrap_or(directory);
        Err(Error::command_failed(format!(
            "{} of {total} images are missing in `{}`, the first is `{first}`; set `--data-dir` to the data \
             directory with the images, or `SHOP_IMAGES_URL` or `CLOUDINARY_URL` as for the server; if they are \
             lost, `shop verify` lists their products; nothing was transferred",
            missing.len(),
            directory.display(),
        )))
    }

    fn copy(&self, has_image_files: bool) -> Result<Vec<CopiedTable>> {
        // SQLite shops keep secrets in files, Postgres shops in the database.
        let (source, target) = (&self.source, &self.target);
        let mut secrets = Vec::new();
        if matches!(self.from, Location::Sqlite(_)) {
            for name in server::SECRETS {
                secrets.extend(source.existing_secret(name)?.map(|value| (name, value)));
            }
        }
        let (file_to_database, file_to_file, database_to_file): (_, _, &[_]) = match &self.to {
            Location::Postgres(_) => (secrets, Vec::new(), &[]),
            Location::Sqlite(_) => (Vec::new(), secrets, &server::SECRETS),
        };
        let runtime = Handle::current();
        let images = has_image_files.then(|| ImageCopier::new(source, target));
        let images = images.transpose()?;
        let bar = progress::bar(0, "rows");
        let copied = transfer(
            &self.from,
            &self.to,
            ExternalData {
                file_to_database,
                file_to_file,
                database_to_file,
                store_in_file: &mut |name, value| target.store_secret(name, value),
                file_column: media::IMAGE_FILES,
                copy_file: &mut |key| match &images {
                    Some(images) => runtime.block_on(images.copy(key)),
                    None => Ok(()),
                },
            },
            &mut |done, total| {
                bar.set_length(total);
                bar.set_position(done);
            },
        );
        bar.finish_and_clear();
        copied
    }
}

/// Copies image files between the data directories. Images in a bucket or at a host stay where they are.
struct ImageCopier {
    /// `None` if the images are in the target's directory already.
    source: Option<Objects>,
    target: Objects,
}

impl ImageCopier {
    fn new(source: &DataDir, target: &DataDir) -> Result<ImageCopier> {
        let is_separate = source.root() != target.root() && source.images().exists();
        Ok(ImageCopier {
            source: is_separate
                .then(|| Objects::local(&source.images()))
                .transpose()?,
            target: Objects::local(&target.images())?,
        })
    }

    /// Copies one image, unless an earlier transfer has copied it.
    async fn copy(&self, key: &str) -> Result<()> {
        let Some(source) = &self.source else {
            return Ok(());
        };
        match source.get(key).await {
            Ok(image) => {
                let image = read_all(image).await?;
                self.target.put(key, image).await.map(drop)
            }
            Err(error) if error.kind() == Kind::NotFound => self.target.get(key).await.map(drop),
            Err(error) => Err(error),
        }
    }
}

/// Returns the data directory of a database: that of the `SQLite` file, or else the configured one.
fn data_dir_of(location: &Location, configured: &DataDir) -> Result<DataDir> {
    match location {
        Location::Postgres(_) => Ok(configured.clone()),
        Location::Sqlite(path) => {
            let name = path.file_name();
            if name.is_none_or(|name| name != "shop.db") {
                return Err(Error::config(format!(
                    "the file of a shop must be named `shop.db`; write `sqlite:{}`",
                    path.join("shop.db").display()
                )));
            }
            let parent = path.parent().filter(|parent| *parent != Path::new(""));
            let root = parent.map_or_else(|| PathBuf::from("."), Path::to_owned);
            Ok(DataDir::at(&root))
        }
    }
}
