//! Image stores. Every operation has a timeout. An image is durable once `put` has succeeded.

mod cloudinary;
mod none;
mod objects;

use bytes::{Bytes, BytesMut};
use futures_util::{FutureExt, TryStreamExt, future::BoxFuture, stream::BoxStream};

pub use self::{
    cloudinary::{Cloudinary, signature},
    none::NoImages,
    objects::Objects,
};
use crate::core::error::{Kind, Result};

/// The widths of the thumbnails, i.e. of the smaller copies of an image, in pixels.
pub const THUMBNAIL_WIDTHS: [u32; 3] = [320, 640, 1280];

/// The file extensions of original images.
const EXTENSIONS: [&str; 4] = [".jpg", ".png", ".webp", ".gif"];

/// Returns the key of a thumbnail. It has no extension: the first bytes determine its type.
pub fn thumbnail_key(stem: &str, width: u32) -> String {
    format!("{stem}-{width}")
}

/// An image that was found, as a stream.
pub struct Found {
    /// The size in bytes.
    pub size: u64,
    pub body: BoxStream<'static, Result<Bytes>>,
}

/// Reads a whole image into memory.
pub async fn read_all(mut found: Found) -> Result<Bytes> {
    let size = usize::try_from(found.size).unwrap_or_default();
    let mut file = BytesMut::with_capacity(size);
    while let Some(chunk) = found.body.try_next().await? {
        file.extend_from_slice(&chunk);
    }
    Ok(file.freeze())
}

/// Stores images by name. The names of an image and its thumbnails begin with the same stem, a UUID.
pub trait ImageStore: Send + Sync {
    /// Stores an image. Returns its URL if the store serves it, or `None` if the shop does.
    ///
    /// Errors: `Unavailable`, `StorageFull`.
    fn put<'a>(&'a self, name: &'a str, file: Bytes) -> BoxFuture<'a, Result<Option<String>>>;

    /// Reads an image.
    ///
    /// Errors: `NotFound`, `Unavailable`.
    fn get<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Found>>;

    /// Deletes an image and its thumbnails. It is not an error if there are none.
    ///
    /// Errors: `Unavailable`.
    fn remove<'a>(&'a self, stem: &'a str) -> BoxFuture<'a, Result<()>>;

    /// Lists the stems of all stored images, some more than once. Empty if the store cannot list them.
    fn stems(&self) -> BoxStream<'_, Result<String>>;

    /// Checks that the store can be reached with the configured credentials.
    ///
    /// Errors: `Unavailable`.
    fn check(&self) -> BoxFuture<'_, Result<()>> {
        async move {
            match self.get("check").await {
                Err(error) if error.kind() != Kind::NotFound => Err(error),
                _ => Ok(()),
            }
        }
        .boxed()
    }

    /// Identifies the store, so that instances can check that they share it.
    fn location(&self) -> StoreLocation;
}

/// The location of an image store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreLocation {
    /// There is no store.
    NoStore,
    /// A directory on this machine.
    Directory,
    /// A remote store, by a URL without secrets.
    Remote(String),
}
