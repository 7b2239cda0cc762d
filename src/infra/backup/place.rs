//! Backup places: a directory or an S3-compatible bucket.
//!
//! A place holds archives, and a folder with the images that they share. Names of images are unique and their contents
//! never change, so each image is stored once, as `images/<name>.<SHA-256 of the content>`. Images that earlier versions
//! have stored have no checksum.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, ErrorKind, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::{
    ObjectMeta, ObjectStore, ObjectStoreExt, buffered::BufWriter, local::LocalFileSystem,
    path::Path as Name,
};
use serde::Serialize;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use tokio::{io::AsyncWriteExt, runtime::Handle};
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::{
    Manifest,
    archive::{self, IMAGES},
};
use crate::{
    core::{
        clock::Timestamp,
        error::{Error, Kind, Result, root_cause},
    },
    infra::{config::Secret, file_modes, ports::bucket::Bucket},
};

/// The timeout of one request: a part of an upload, or the download of an archive.
const TIMEOUT: Duration = Duration::from_hours(1);

/// The names of archives begin and end with these, around the time in the basic format of ISO 8601. So the order of
/// the names is that of the times.
const PREFIX: &str = "shop-";
const SUFFIX: &str = ".tar.gz";

/// A directory or a bucket.
#[derive(Clone)]
pub struct Place {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) prefix: Name,
    /// The directory, if this is not a bucket. Archives in it are read and written as files.
    directory: Option<PathBuf>,
    /// The URL or path, for messages.
    name: String,
}

/// How many bytes of an archive are written between two syncs.
const SYNC_STEP: usize = 8 * 1024 * 1024;

/// Syncs a file while it is written. Otherwise the kernel would write much of it at once, and a shop on the same disk
/// would wait: ext4 writes the new blocks of all files before it commits its journal (`data=ordered` in ext4(5)).
struct SteadyWriter<'a> {
    file: &'a mut NamedTempFile,
    unsynced: usize,
}

impl Write for SteadyWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.unsynced += written;
        if self.unsynced >= SYNC_STEP {
            self.file.as_file().sync_data()?;
            self.unsynced = 0;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// An archive in a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stored {
    pub name: String,
    pub created_at: Timestamp,
    /// The size in bytes.
    pub size: u64,
}

/// An image in a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredImage {
    pub stored_at: Timestamp,
    /// The name of its file or object.
    file: String,
    /// The SHA-256 of the content in hexadecimal.
    checksum: Option<String>,
}

/// Returns the name of an archive that is made now.
pub fn archive_name(now: Timestamp) -> String {
    format!("{PREFIX}{}{SUFFIX}", now.basic())
}

/// Returns the time in the name of an archive, or `None` for another file.
fn time_of(name: &str) -> Option<Timestamp> {
    let time = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    let (date, rest) = time.split_once('T')?;
    let is_basic = date.len() == 8 && rest.len() > 6 && time.is_ascii();
    is_basic.then(|| {
        let (year, month, day) = (&date[..4], &date[4..6], &date[6..]);
        let (hour, minute, second) = (&rest[..2], &rest[2..4], &rest[4..]);
        format!("{year}-{month}-{day}T{hour}:{minute}:{second}")
            .parse()
            .ok()
    })?
}

/// Returns whether a text is a SHA-256 in hexadecimal, which no extension of an image is.
fn is_checksum(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl Place {
    /// Opens `s3://bucket/prefix`, `file:///path` or a directory. `aws` holds the environment variables `AWS_*`.
    ///
    /// Errors: `Config` if the URL is invalid.
    pub fn open(url: &str, aws: &BTreeMap<String, Secret>) -> Result<Place> {
        if url.starts_with("s3://") {
            let bucket = Bucket::open("backup_url", url, aws, TIMEOUT)?;
            return Ok(Place {
                store: bucket.store,
                prefix: bucket.prefix,
                directory: None,
                name: url.trim_end_matches('/').to_owned(),
            });
        }
        let path = match url.strip_prefix("file://") {
            Some(path) if path.starts_with('/') => path,
            None if !url.contains("://") && !url.is_empty() => url,
            _ => {
                return Err(Error::config(format!(
                    "a backup place must be a directory, `file:///path` or `s3://bucket/prefix`, not `{url}`"
                )));
            }
        };
        Place::directory(Path::new(path))
    }

    /// Opens a directory, which [`Place::prepare`] creates.
    pub fn directory(path: &Path) -> Result<Place> {
        let absolute = std::path::absolute(path).map_err(Error::internal)?;
        let prefix = Name::from_absolute_path(&absolute).map_err(|error| {
            Error::config(format!("cannot use the backup place `{}`", path.display()))
                .caused_by(error)
        })?;
        Ok(Place {
            store: Arc::new(LocalFileSystem::new().with_fsync(true)),
            prefix,
            name: absolute.display().to_string(),
            directory: Some(absolute),
        })
    }

    /// Returns the path or URL of something in this place, for messages.
    pub fn path_of(&self, name: &str) -> String {
        format!("{}/{name}", self.name)
    }

    /// Creates the directory if it is missing.
    pub fn prepare(&self) -> Result<()> {
        match &self.directory {
            None => Ok(()),
            Some(path) => file_modes::create_directory(path)
                .map_err(|error| self.failed("create the directory", &error)),
        }
    }

    /// Returns the archives, newest first. A missing directory has none.
    pub async fn archives(&self) -> Result<Vec<Stored>> {
        let listed = self.store.list_with_delimiter(Some(&self.prefix)).await;
        let listed = listed.map_err(|error| self.failed("list", &error))?;
        let mut archives: Vec<Stored> = listed
            .objects
            .iter()
            .filter_map(|found| {
                let name = found.location.filename()?;
                Some(Stored {
                    created_at: time_of(name)?,
                    name: name.to_owned(),
                    size: found.size,
                })
            })
            .collect();
        archives.sort_by(|a, b| b.name.cmp(&a.name));
        Ok(archives)
    }

    /// Returns the newest archive, except those of the future: they were made before the clock was set back.
    pub async fn newest(&self, now: Timestamp) -> Result<Option<Stored>> {
        let archives = self.archives().await?;
        Ok(archives.into_iter().find(|it| it.created_at <= now))
    }

    /// Reads the manifest of an archive. Errors: `Unavailable`; `CommandFailed` if it is damaged.
    pub async fn manifest(&self, name: &str) -> Result<Manifest> {
        let (place, name, runtime) = (self.clone(), name.to_owned(), Handle::current());
        let read = move || archive::read_manifest(place.read(&name, &runtime)?);
        tokio::task::spawn_blocking(read)
            .await
            .map_err(Error::internal)?
    }

    /// Returns the images by name.
    pub async fn images(&self) -> Result<BTreeMap<String, StoredImage>> {
        let folder = self.prefix.clone().join(IMAGES);
        let named = |found: ObjectMeta| {
            let file = found.location.filename()?.to_owned();
            let (name, checksum) = match file.rsplit_once('.') {
                Some((name, checksum)) if is_checksum(checksum) => (name, Some(checksum)),
                _ => (&*file, None),
            };
            let stored = StoredImage {
                stored_at: Timestamp(found.last_modified.timestamp_millis()),
                checksum: checksum.map(ToOwned::to_owned),
                file: file.clone(),
            };
            Some((name.to_owned(), stored))
        };
        self.store
            .list(Some(&folder))
            .try_filter_map(|found| std::future::ready(Ok(named(found))))
            .try_collect()
            .await
            .map_err(|error| self.failed("list", &error))
    }

    /// Stores an image durably.
    pub async fn put_image(&self, name: &str, image: Bytes) -> Result<()> {
        let file = format!("{name}.{}", hex::encode(Sha256::digest(&image)));
        let put = self.store.put(&self.image(&file), image.into()).await;
        put.map(drop)
            .map_err(|error| self.failed(&format!("write the image `{name}`"), &error))
    }

    /// Reads an image and checks it. Returns `None` if it is gone. Errors: `CommandFailed` if it is damaged;
    /// `Unavailable`.
    pub async fn get_image(&self, image: &StoredImage) -> Result<Option<Bytes>> {
        let found = match self.store.get(&self.image(&image.file)).await {
            Ok(found) => found.bytes().await,
            Err(error) => Err(error),
        };
        let content = match found {
            Ok(content) => content,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => {
                return Err(self.failed(&format!("read the image `{}`", image.file), &error));
            }
        };
        let is_damaged = |expected: &String| *expected != hex::encode(Sha256::digest(&content));
        if image.checksum.as_ref().is_some_and(is_damaged) {
            let path = self.path_of(&format!("{IMAGES}/{}", image.file));
            return Err(Error::command_failed(format!(
                "the image `{path}` is damaged: its checksum is wrong; delete it, and the next backup stores it again"
            )));
        }
        Ok(Some(content))
    }

    /// Deletes an image. It is not an error if there is none.
    pub(super) async fn delete_image(&self, image: &StoredImage) -> Result<()> {
        self.delete(&self.image(&image.file)).await
    }

    /// Deletes an archive. It is not an error if there is none.
    pub async fn delete_archive(&self, name: &str) -> Result<()> {
        self.delete(&self.prefix.clone().join(name)).await
    }

    pub(super) async fn delete(&self, path: &Name) -> Result<()> {
        match self.store.delete(path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed("delete from", &error)),
        }
    }

    fn image(&self, file: &str) -> Name {
        self.prefix.clone().join(IMAGES).join(file)
    }

    /// Opens an archive for reading. Blocks, in a thread of the runtime `runtime`.
    ///
    /// Errors: `CommandFailed` if there is none of this name; `Unavailable`.
    pub fn read(&self, name: &str, runtime: &Handle) -> Result<Box<dyn Read + Send>> {
        let cannot = format!("read `{name}`");
        if let Some(directory) = &self.directory {
            let file = File::open(directory.join(name)).map_err(|error| match error.kind() {
                ErrorKind::NotFound => self.missing(name),
                _ => self.failed(&cannot, &error),
            });
            return Ok(Box::new(file?));
        }
        let path = self.prefix.clone().join(name);
        let found = runtime.block_on(self.store.get(&path));
        let found = found.map_err(|error| match error {
            object_store::Error::NotFound { .. } => self.missing(name),
            error => self.failed(&cannot, &error),
        })?;
        let stream = found.into_stream().map_err(std::io::Error::other);
        Ok(Box::new(SyncIoBridge::new_with_handle(
            StreamReader::new(stream),
            runtime.clone(),
        )))
    }

    /// Writes an archive with `write`. It appears in the place only when it is complete and durable. Blocks, in a
    /// thread of the runtime `runtime`. Returns the size in bytes.
    ///
    /// Errors: `Unavailable`, `StorageFull`; `CommandFailed` if there is a file of this name. Errors of `write`.
    pub fn write(
        &self,
        name: &str,
        runtime: &Handle,
        write: impl FnOnce(&mut dyn Write) -> Result<()>,
    ) -> Result<u64> {
        if let Some(directory) = &self.directory {
            return self.write_file(directory, name, write);
        }
        let path = self.prefix.clone().join(name);
        let upload = BufWriter::new(Arc::clone(&self.store), path);
        let mut out = Counting {
            inner: SyncIoBridge::new_with_handle(upload, runtime.clone()),
            size: 0,
        };
        let written = write(&mut out);
        let size = out.size;
        let mut upload = out.inner.into_inner();
        match written {
            Ok(()) => runtime
                .block_on(upload.shutdown())
                .map_err(|error| self.failed(&format!("write `{name}`"), &error))?,
            Err(error) => {
                // The bucket also discards unfinished uploads by its own rules.
                if let Err(error) = runtime.block_on(upload.abort()) {
                    tracing::debug!(%error, "cannot abort the upload of a backup");
                }
                return Err(error);
            }
        }
        Ok(size)
    }

    fn write_file(
        &self,
        directory: &Path,
        name: &str,
        write: impl FnOnce(&mut dyn Write) -> Result<()>,
    ) -> Result<u64> {
        let failed = |error: &(dyn std::error::Error + 'static)| {
            self.failed(&format!("write `{name}`"), error)
        };
        let path = directory.join(name);
        if fs::symlink_metadata(&path).is_ok() {
            return Err(self.exists(name));
        }
        let mut file =
            NamedTempFile::with_prefix_in(".backup-", directory).map_err(|e| failed(&e))?;
        let mut steady = SteadyWriter {
            file: &mut file,
            unsynced: 0,
        };
        write(&mut steady).map_err(|error| match error.kind() {
            Kind::StorageFull => failed(root_cause(&error)),
            _ => error,
        })?;
        let size = file.as_file().metadata().map_err(|e| failed(&e))?.len();
        file.as_file().sync_all().map_err(|e| failed(&e))?;
        file.persist_noclobber(&path).map_err(|error| {
            if error.error.kind() == ErrorKind::AlreadyExists {
                self.exists(name)
            } else {
                failed(&error.error)
            }
        })?;
        let synced = File::open(directory).and_then(|directory| directory.sync_all());
        synced.map_err(|e| failed(&e))?;
        Ok(size)
    }

    fn missing(&self, name: &str) -> Error {
        let (path, place) = (self.path_of(name), &self.name);
        Error::command_failed(format!(
            "there is no backup `{path}`; `SHOP_BACKUP_URL='{place}' shop backup list` lists those that exist"
        ))
    }

    fn exists(&self, name: &str) -> Error {
        let path = self.path_of(name);
        Error::command_failed(format!("`{path}` exists already; choose another name"))
    }

    pub(super) fn failed(&self, verb: &str, error: &(dyn std::error::Error + 'static)) -> Error {
        let texts = std::iter::successors(Some(error), |error| error.source());
        let is_full = texts
            .filter_map(|error| error.downcast_ref::<std::io::Error>())
            .any(|error| error.kind() == ErrorKind::StorageFull);
        let kind = if is_full {
            Kind::StorageFull
        } else {
            Kind::Unavailable
        };
        let place = &self.name;
        let remedy = match &self.directory {
            Some(_) if is_full => "make space on its disk, then try again",
            Some(_) => "check its owner, its mode and the space on the disk",
            None => "check the bucket, the network and the `AWS_*` variables",
        };
        Error::new(
            kind,
            format!("backup place `{place}`: cannot {verb}: {error}; {remedy}"),
        )
    }
}

/// Counts what is written.
struct Counting<W> {
    inner: W,
    size: u64,
}

impl<W: Write> Write for Counting<W> {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        let count = self.inner.write(buffer)?;
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}
