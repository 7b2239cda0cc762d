//! Where pictures are kept, by name. A store answers within a limit of time or not at all; what `put`
//! has answered is kept for good.

mod absent;
mod cloudinary;
mod objects;

use bytes::{Bytes, BytesMut};
use futures_util::{TryStreamExt, future::BoxFuture, stream::BoxStream};

pub use self::{
    absent::NoImages,
    cloudinary::{Cloudinary, signature},
    objects::Objects,
};
use crate::core::error::Result;

/// The widths that a picture is also to be had in, in pixels.
pub const WIDTHS: [u32; 3] = [320, 640, 1280];

/// What a picture is called in its own size, after its stem.
const ENDINGS: [&str; 4] = [".jpg", ".png", ".webp", ".gif"];

/// What a picture of a smaller width is called; what it is, its first bytes tell.
pub fn narrow(stem: &str, width: u32) -> String {
    format!("{stem}-{width}")
}

/// A picture on its way out.
pub struct Found {
    /// In bytes.
    pub size: u64,
    pub body: BoxStream<'static, Result<Bytes>>,
}

/// A picture, read to its end.
pub async fn whole(mut found: Found) -> Result<Bytes> {
    let size = usize::try_from(found.size).unwrap_or_default();
    let mut file = BytesMut::with_capacity(size);
    while let Some(chunk) = found.body.try_next().await? {
        file.extend_from_slice(&chunk);
    }
    Ok(file.freeze())
}

/// A store of pictures. A name is a stem and an ending; what begins with one stem is one picture.
pub trait ImageStore: Send + Sync {
    /// Keeps a picture; tells its URL where the shop cannot serve it by itself.
    fn put<'a>(&'a self, name: &'a str, file: Bytes) -> BoxFuture<'a, Result<Option<String>>>;

    fn get<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Found>>;

    /// Removes a picture in all its widths; nothing there is no error.
    fn remove<'a>(&'a self, stem: &'a str) -> BoxFuture<'a, Result<()>>;

    /// The stems of all that is there, some of them more than once. A store that cannot be looked
    /// through gives none.
    fn stems(&self) -> BoxStream<'_, Result<String>>;

    /// Which store it is, for programs that must share one.
    fn place(&self) -> Place;
}

/// What tells stores from each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Nowhere: the program handles no pictures.
    Nowhere,
    /// A folder of this machine.
    Folder,
    /// One that is reached from everywhere, by a name without secrets.
    Everywhere(String),
}
