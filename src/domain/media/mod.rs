//! Pictures: taken in by their content, made anew without metadata, kept under made-up keys.
//!
//! It must never keep what it could not decode, nor serve what it did not make.

pub mod http;
mod picture;
mod removal;
mod store;
mod verify;
pub mod worker;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use self::{
    picture::Picture,
    removal::{removal_jobs, retry_removal},
    verify::{COPY, verify},
    worker::Draft,
};
use crate::{
    core::{
        error::{Error, Result},
        id::{ImageId, ProductId},
    },
    infra::db::Tx,
};

/// How many pictures a product has at most.
pub const MOST_IMAGES: usize = 8;

/// How large one uploaded picture may be, in bytes.
pub const IMAGE_LIMIT: usize = 5 * 1024 * 1024;

/// How large a stored picture may be, in bytes, and how much of all of them is held in memory at a time:
/// the store takes each from memory.
pub const STORED_LIMIT: u32 = 24 * 1024 * 1024;

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
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    id: ImageId,
    key: String,
    width: i64,
    height: i64,
    content_type: String,
    /// None: the shop serves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<String>,
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
        url: kept
            .url
            .unwrap_or_else(|| format!("{public_url}/images/{}", kept.key)),
        width: kept.width,
        height: kept.height,
        content_type: kept.content_type,
    });
    Ok(shown.collect())
}

/// A picture that is in the store, or about to be, and not yet in the database.
#[derive(Debug, Clone)]
pub struct Stored {
    pub id: ImageId,
    pub key: String,
    /// Where it is to be had, if the shop does not serve it.
    pub url: Option<String>,
    pub picture: Picture,
}

impl Stored {
    fn new(id: ImageId, picture: Picture) -> Stored {
        Stored {
            id,
            key: format!("{id}.{}", picture.extension()),
            url: None,
            picture,
        }
    }
}

/// Adds pictures to a product, behind those it has. Tells how many it has then.
pub fn attach(tx: &mut Tx<'_>, product: ProductId, stored: &[Stored]) -> Result<usize> {
    let held = store::count(tx, product)?;
    for (position, image) in (held..).zip(stored) {
        removal::cross_out(tx, image)?;
        store::insert(tx, product, position, image)?;
    }
    Ok(usize::try_from(held).unwrap_or_default() + stored.len())
}

/// Takes a picture from its product; tells whether it was there. The store loses it after the commit.
pub fn detach(tx: &mut Tx<'_>, product: ProductId, image: ImageId) -> Result<bool> {
    let was_there = store::delete(tx, product, image)?;
    if was_there {
        removal::order(tx, &[image])?;
    }
    Ok(was_there)
}

/// As [`detach`], for all that a product has.
pub fn detach_all(tx: &mut Tx<'_>, product: ProductId) -> Result<()> {
    let images: Vec<_> = store::of_product(tx, product)?;
    for image in images {
        detach(tx, product, image.id)?;
    }
    Ok(())
}
