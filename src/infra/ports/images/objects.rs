//! Images as objects: files in a directory, or objects in an S3-compatible bucket.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream::BoxStream};
use object_store::{
    ObjectStore, ObjectStoreExt,
    local::LocalFileSystem,
    path::{Path as Name, PathPart},
};

use super::{EXTENSIONS, Found, ImageStore, StoreLocation, THUMBNAIL_WIDTHS, thumbnail_key};
use crate::{
    core::error::{Error, Kind, Result},
    infra::{config::Secret, file_modes, ports::bucket::Bucket},
};

/// The timeout of one operation.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Images up to this size, in bytes, are read into memory. Larger ones are streamed, so that slow clients do not
/// hold whole images.
const MAX_BUFFERED: u64 = 64 * 1024;

pub struct Objects {
    store: Arc<dyn ObjectStore>,
    /// The prefix of all names, for a bucket that is shared.
    prefix: Name,
    location: StoreLocation,
    /// The directory, if this is not a bucket.
    folder: Option<PathBuf>,
}

impl Objects {
    /// Opens a directory, or creates it. Writes are atomic and synced.
    ///
    /// Errors: `Unavailable` if it cannot be created.
    pub fn local(directory: &Path) -> Result<Objects> {
        let cannot = |error: Box<dyn std::error::Error + Send + Sync>| {
            let detail = format!("cannot use the image directory `{}`", directory.display());
            Error::unavailable(detail).caused_by(error)
        };
        file_modes::create_directory(directory).map_err(|e| cannot(e.into()))?;
        let store = LocalFileSystem::new_with_prefix(directory).map_err(|e| cannot(e.into()))?;
        Ok(Objects {
            store: Arc::new(store.with_fsync(true)),
            prefix: Name::default(),
            location: StoreLocation::Directory,
            folder: Some(directory.to_owned()),
        })
    }

    /// Opens the bucket `s3://bucket/prefix`. `aws` holds the environment variables `AWS_*`, e.g. `AWS_REGION`,
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_ENDPOINT_URL`.
    ///
    /// Errors: `Config` if the URL or a variable is invalid.
    pub fn s3(url: &str, aws: &BTreeMap<String, Secret>) -> Result<Objects> {
        let Bucket {
            store,
            name,
            prefix,
        } = Bucket::open("images_url", url, aws, TIMEOUT)?;
        let location = StoreLocation::Remote(format!("s3://{name}/{prefix}"));
        Ok(Objects {
            store,
            prefix,
            location,
            folder: None,
        })
    }

    fn name(&self, name: &str) -> Name {
        self.prefix.clone().join(PathPart::from(name))
    }
}

impl ImageStore for Objects {
    fn put<'a>(&'a self, name: &'a str, file: Bytes) -> BoxFuture<'a, Result<Option<String>>> {
        let path = self.name(name);
        with_timeout(async move { self.store.put(&path, file.into()).await.map(|_| None) }).boxed()
    }

    fn get<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Found>> {
        let path = self.name(name);
        with_timeout(async move {
            let found = self.store.get(&path).await?;
            let size = found.meta.size;
            let body = if size <= MAX_BUFFERED {
                let whole = found.bytes().await?;
                futures_util::stream::once(async move { Ok(whole) }).boxed()
            } else {
                found.into_stream().map_err(to_error).boxed()
            };
            Ok(Found { size, body })
        })
        .boxed()
    }

    fn remove<'a>(&'a self, stem: &'a str) -> BoxFuture<'a, Result<()>> {
        let own = EXTENSIONS.iter().map(|ending| format!("{stem}{ending}"));
        let thumbnails = THUMBNAIL_WIDTHS
            .iter()
            .map(|width| thumbnail_key(stem, *width));
        let files: Vec<_> = own.chain(thumbnails).collect();
        let names: Vec<_> = files.iter().map(|file| Ok(self.name(file))).collect();
        with_timeout(async move {
            let mut removed = self
                .store
                .delete_stream(futures_util::stream::iter(names).boxed());
            while let Some(removed) = removed.next().await {
                match removed {
                    Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            if let Some(folder) = &self.folder {
                remove_staged(folder, &files).await;
            }
            Ok(())
        })
        .boxed()
    }

    fn stems(&self) -> BoxStream<'_, Result<String>> {
        let stem = |name: &Name| {
            let file = name.filename().unwrap_or_default();
            // A stem is a UUID of 36 characters. Other files are not images.
            let suffix = file.get(36..).unwrap_or_default();
            (suffix.starts_with(['.', '-'])).then(|| file[..36].to_owned())
        };
        self.store
            .list(Some(&self.prefix))
            .map_err(to_error)
            .try_filter_map(move |found| std::future::ready(Ok(stem(&found.location))))
            .boxed()
    }

    fn location(&self) -> StoreLocation {
        self.location.clone()
    }
}

/// Deletes the temporary files of interrupted writes. `object_store` creates them with these names, and does not
/// accept the names itself.
async fn remove_staged(folder: &Path, files: &[String]) {
    for file in files {
        for number in 1.. {
            let staged = folder.join(format!("{file}#{number}"));
            if tokio::fs::remove_file(staged).await.is_err() {
                break;
            }
        }
    }
}

/// Runs an operation with [`TIMEOUT`].
async fn with_timeout<T>(work: impl Future<Output = object_store::Result<T>> + Send) -> Result<T> {
    match tokio::time::timeout(TIMEOUT, work).await {
        Ok(result) => result.map_err(to_error),
        Err(_) => Err(to_error(object_store::Error::Generic {
            store: "images",
            source: "the operation timed out".into(),
        })),
    }
}

fn to_error(error: object_store::Error) -> Error {
    match error {
        object_store::Error::NotFound { .. } => Error::not_found("image"),
        error if is_full(&error) => Error::new(
            Kind::StorageFull,
            "the disk is full; the image was not stored",
        )
        .caused_by(error),
        error => Error::unavailable("the image store is unavailable; retry later").caused_by(error),
    }
}

fn is_full(error: &object_store::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if error
            .downcast_ref::<std::io::Error>()
            .is_some_and(|e| e.kind() == std::io::ErrorKind::StorageFull)
        {
            return true;
        }
        cause = error.source();
    }
    false
}
