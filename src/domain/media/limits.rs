//! Limits on images; the settings add `image_max_pixels`.

/// The maximum number of images per product.
pub const MOST_IMAGES: usize = 8;

/// The maximum size of one uploaded image, in bytes.
pub const IMAGE_LIMIT: usize = 5 * 1024 * 1024;

/// The maximum size of a re-encoded image, in bytes. It also limits how many bytes of images are in memory
/// at a time, since the image store takes whole files.
pub const STORED_LIMIT: u32 = 24 * 1024 * 1024;
