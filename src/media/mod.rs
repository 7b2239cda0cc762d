//! Pictures: taken in by their content, made anew without metadata, kept under made-up keys.
//!
//! It must never keep what it could not decode, nor serve what it did not make.

pub mod http;
mod picture;
mod store;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use self::picture::Picture;
use crate::{
    db::Tx,
    error::{Error, Result},
    id::{ImageId, ProductId},
    ports::ImageStore,
};

/// How many pictures a product has at most.
pub const MOST_IMAGES: usize = 8;

/// How large one uploaded picture may be, in bytes.
pub const IMAGE_LIMIT: usize = 5 * 1024 * 1024;

/// A picture as products show it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    pub id: ImageId,
    /// Absolute, and for ever the same picture.
    pub url: String,
    /// In pixels.
    pub width: i64,
    /// In pixels.
    pub height: i64,
    pub content_type: String,
}

/// A picture as a product's row keeps it beside `product_images`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    id: ImageId,
    key: String,
    width: i64,
    height: i64,
    content_type: String,
}

/// The text that a product's row keeps of its pictures.
pub fn written(tx: &mut Tx<'_>, product: ProductId) -> Result<String> {
    serde_json::to_string(&store::of_product(tx, product)?).map_err(Error::internal)
}

/// The pictures that such a text tells of, ready to be shown.
pub fn shown(text: &str, public_url: &str) -> Result<Vec<Image>> {
    if text == "[]" {
        return Ok(Vec::new());
    }
    let kept: Vec<Kept> = serde_json::from_str(text).map_err(Error::internal)?;
    let shown = kept.into_iter().map(|kept| Image {
        id: kept.id,
        url: format!("{public_url}/images/{}", kept.key),
        width: kept.width,
        height: kept.height,
        content_type: kept.content_type,
    });
    Ok(shown.collect())
}

/// A picture that is in the store and not yet in the database.
#[derive(Debug, Clone)]
pub struct Stored {
    pub id: ImageId,
    pub key: String,
    pub picture: Picture,
}

/// Writes all pictures to the store, or none.
pub async fn keep(images: &ImageStore, pictures: Vec<(ImageId, Picture)>) -> Result<Vec<Stored>> {
    let mut stored = Vec::new();
    for (id, picture) in pictures {
        let key = format!("{id}.{}", picture.extension());
        let put = images.put(&key, picture.bytes.clone()).await;
        stored.push(Stored { id, key, picture });
        if let Err(error) = put {
            discard(images, &stored).await;
            return Err(error);
        }
    }
    Ok(stored)
}

/// Takes pictures out of the store again, after what they belonged to failed.
pub async fn discard(images: &ImageStore, stored: &[Stored]) {
    for image in stored {
        remove(images, &image.key).await;
    }
}

/// Adds pictures to a product, behind those it has. Tells how many it has then.
pub fn attach(tx: &mut Tx<'_>, product: ProductId, stored: &[Stored]) -> Result<usize> {
    let held = store::count(tx, product)?;
    for (position, image) in (held..).zip(stored) {
        store::insert(tx, product, position, image)?;
    }
    Ok(usize::try_from(held).unwrap_or_default() + stored.len())
}

/// Takes a picture from its product and tells its key in the store, if it was there.
pub fn detach(tx: &mut Tx<'_>, product: ProductId, image: ImageId) -> Result<Option<String>> {
    store::delete(tx, product, image)
}

/// Removes a picture that no row names any more.
pub async fn remove(images: &ImageStore, key: &str) {
    if let Err(error) = images.delete(key).await {
        tracing::warn!(key, ?error, "a picture stays behind in the store");
    }
}
