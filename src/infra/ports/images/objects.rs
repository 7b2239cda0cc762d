//! Pictures as objects: files in a directory, or in a bucket that speaks S3.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream::BoxStream};
use object_store::{
    ClientOptions, ObjectStore, ObjectStoreExt, RetryConfig,
    aws::AmazonS3Builder,
    local::LocalFileSystem,
    path::{Path as Name, PathPart},
};

use super::{ENDINGS, Found, ImageStore, Place, WIDTHS, narrow};
use crate::{
    core::error::{Error, Kind, Result},
    infra::{config::Secret, file_modes},
};

/// How long the store may take for one thing, and to be reached.
const PATIENCE: Duration = Duration::from_secs(30);
const CONNECTING: Duration = Duration::from_secs(5);

/// A larger picture is sent as it is read, in bytes: a client that reads slowly holds what was read.
const AT_ONCE: u64 = 64 * 1024;

pub struct Objects {
    store: Arc<dyn ObjectStore>,
    /// What names begin with, where a bucket is shared with others.
    prefix: Name,
    place: Place,
    /// The directory, if it is one.
    folder: Option<PathBuf>,
}

impl Objects {
    /// A directory, made if it is missing. A write is synced before it is answered, and whole or not
    /// there at all.
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
            place: Place::Folder,
            folder: Some(directory.to_owned()),
        })
    }

    /// A bucket, from `s3://bucket/prefix`; how it is reached is in the `AWS_*` variables, as in
    /// `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_ENDPOINT_URL`.
    pub fn s3(url: &str, aws: &BTreeMap<String, Secret>) -> Result<Objects> {
        let wrong = || Error::config("`images_url` must be as `s3://bucket/prefix`");
        let (bucket, prefix) = url
            .strip_prefix("s3://")
            .map(|rest| rest.split_once('/').unwrap_or((rest, "")))
            .filter(|(bucket, _)| !bucket.is_empty())
            .ok_or_else(wrong)?;
        let prefix = Name::parse(prefix.trim_matches('/')).map_err(|e| wrong().caused_by(e))?;
        let mut builder = AmazonS3Builder::new();
        for (name, value) in aws {
            // There are more such variables than concern a bucket.
            if let Ok(key) = name.to_ascii_lowercase().parse() {
                builder = builder.with_config(key, value.0.as_str());
            }
        }
        let client = ClientOptions::new()
            .with_allow_http(true)
            .with_connect_timeout(CONNECTING)
            .with_timeout(PATIENCE);
        let retry = RetryConfig {
            max_retries: 2,
            retry_timeout: PATIENCE / 2,
            ..RetryConfig::default()
        };
        let store = builder
            .with_bucket_name(bucket)
            .with_client_options(client)
            .with_retry(retry)
            .build()
            .map_err(|error| {
                let detail = "cannot use the bucket of `images_url`; look at the `AWS_*` variables";
                Error::config(detail).caused_by(error)
            })?;
        let place = Place::Everywhere(format!("s3://{bucket}/{prefix}"));
        Ok(Objects {
            store: Arc::new(store),
            prefix,
            place,
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
        in_time(async move { self.store.put(&path, file.into()).await.map(|_| None) }).boxed()
    }

    fn get<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Found>> {
        let path = self.name(name);
        in_time(async move {
            let found = self.store.get(&path).await?;
            let size = found.meta.size;
            let body = if size <= AT_ONCE {
                let whole = found.bytes().await?;
                futures_util::stream::once(async move { Ok(whole) }).boxed()
            } else {
                found.into_stream().map_err(failure).boxed()
            };
            Ok(Found { size, body })
        })
        .boxed()
    }

    fn remove<'a>(&'a self, stem: &'a str) -> BoxFuture<'a, Result<()>> {
        let own = ENDINGS.iter().map(|ending| format!("{stem}{ending}"));
        let narrow = WIDTHS.iter().map(|width| narrow(stem, *width));
        let files: Vec<_> = own.chain(narrow).collect();
        let names: Vec<_> = files.iter().map(|file| Ok(self.name(file))).collect();
        in_time(async move {
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
            // A `UUID` has 36 letters; what is called otherwise was not put here.
            let end = file.get(36..).unwrap_or_default();
            (end.starts_with(['.', '-'])).then(|| file[..36].to_owned())
        };
        self.store
            .list(Some(&self.prefix))
            .map_err(failure)
            .try_filter_map(move |found| std::future::ready(Ok(stem(&found.location))))
            .boxed()
    }

    fn place(&self) -> Place {
        self.place.clone()
    }
}

/// Removes what writes that were broken off have left: `object_store` writes to such names first, and
/// will not have them named to it.
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

/// What the store says, if it says so in time.
async fn in_time<T>(work: impl Future<Output = object_store::Result<T>> + Send) -> Result<T> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(answer) => answer.map_err(failure),
        Err(_) => Err(failure(object_store::Error::Generic {
            store: "images",
            source: "it takes too long".into(),
        })),
    }
}

fn failure(error: object_store::Error) -> Error {
    match error {
        object_store::Error::NotFound { .. } => Error::not_found("image"),
        error if is_full(&error) => {
            Error::new(Kind::StorageFull, "the disk is full; nothing was kept").caused_by(error)
        }
        error => Error::unavailable("the image store does not answer; try again").caused_by(error),
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
