//! An image between its upload and the product that it belongs to.

use std::fs::File;

use super::image::EncodedImage;
use crate::core::id::ImageId;

/// An uploaded file that is not decoded yet.
#[derive(Debug)]
pub struct ImageUpload {
    /// The field or file name that error messages refer to.
    pub field: String,
    pub file: File,
}

/// A re-encoded image that is in the image store, or about to be, but not yet linked to a product.
#[derive(Debug, Clone)]
pub struct UploadedImage {
    pub id: ImageId,
    pub key: String,
    /// The URL at an image host; `None` if the shop itself serves the image.
    pub url: Option<String>,
    pub(super) image: EncodedImage,
}

impl UploadedImage {
    pub(super) fn new(id: ImageId, image: EncodedImage) -> UploadedImage {
        UploadedImage {
            id,
            key: format!("{id}.{}", image.extension()),
            url: None,
            image,
        }
    }
}
