//! The images of a product: as the API returns them, and their copy in the product's row.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    core::{
        error::{Error, Result},
        id::ImageId,
    },
    infra::db::transfer::FileColumn,
};

/// The column with the names of the images that the shop's image store has. An image at a host has a URL instead.
pub const IMAGE_FILES: FileColumn = FileColumn {
    table: "product_images",
    column: "image_key",
    external_url_column: "url",
};

/// A product image.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    pub id: ImageId,
    /// The absolute URL. Its content never changes.
    pub url: String,
    /// The width in pixels.
    pub width: i64,
    /// The height in pixels.
    pub height: i64,
    pub content_type: String,
}

/// The copy of an image in `products.images`, which saves a join with `product_images`.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ImageCopy {
    pub(super) id: ImageId,
    pub(super) key: String,
    pub(super) width: i64,
    pub(super) height: i64,
    pub(super) content_type: String,
    /// The URL at an image host; `None` if the shop itself serves the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) url: Option<String>,
}

/// Parses the column `products.images`.
pub fn parse_images(json: &str, public_url: &str) -> Result<Vec<Image>> {
    if json == "[]" {
        return Ok(Vec::new());
    }
    let copies: Vec<ImageCopy> = serde_json::from_str(json).map_err(Error::internal)?;
    let images = copies.into_iter().map(|copy| Image {
        id: copy.id,
        url: copy
            .url
            .unwrap_or_else(|| format!("{public_url}/images/{}", copy.key)),
        width: copy.width,
        height: copy.height,
        content_type: copy.content_type,
    });
    Ok(images.collect())
}
