//! Where pictures are kept, by key. What `put` has answered is on the disk.

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use object_store::{ObjectStore, ObjectStoreExt, local::LocalFileSystem};

use crate::error::{Error, Kind, Result};

/// A store of pictures.
#[derive(Debug, Clone)]
pub struct ImageStore(Arc<dyn ObjectStore>);

impl ImageStore {
    /// A directory, made if it is missing. A write is synced before it is answered.
    pub fn local(directory: &Path) -> Result<ImageStore> {
        let cannot = |error: Box<dyn std::error::Error + Send + Sync>| {
            let detail = format!("cannot use the image directory `{}`", directory.display());
            Error::unavailable(detail).caused_by(error)
        };
        std::fs::create_dir_all(directory).map_err(|e| cannot(e.into()))?;
        let store = LocalFileSystem::new_with_prefix(directory).map_err(|e| cannot(e.into()))?;
        Ok(ImageStore(Arc::new(store.with_fsync(true))))
    }

    pub async fn put(&self, key: &str, bytes: Bytes) -> Result<()> {
        let path = object_store::path::Path::from(key);
        self.0
            .put(&path, bytes.into())
            .await
            .map(|_| ())
            .map_err(failure)
    }

    pub async fn get(&self, key: &str) -> Result<Bytes> {
        let path = object_store::path::Path::from(key);
        let found = self.0.get(&path).await.map_err(failure)?;
        found.bytes().await.map_err(failure)
    }

    /// Removes what is there; nothing there is no error.
    pub async fn delete(&self, key: &str) -> Result<()> {
        let path = object_store::path::Path::from(key);
        match self.0.delete(&path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failure(error)),
        }
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
