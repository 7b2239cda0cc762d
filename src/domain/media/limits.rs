//! Limits on images; the settings add `image_max_pixels`.

/// The maximum number of images per product.
pub const MAX_IMAGES_PER_PRODUCT: usize = 8;

/// The maximum size of one uploaded image, in bytes.
pub const MAX_UPLOAD_SIZE: usize = 5 * 1024 * 1024;

/// The maximum size of a re-encoded image, in bytes. It also limits how many bytes of images are in memory
/// at a time, since the image store takes whole files.
pub const MAX_STORED_SIZE: u32 = 24 * 1024 * 1024;

/// Returns how many of `App::upload_permits` a file of this size takes: one per KiB.
pub(super) fn permits(size: u64) -> u32 {
    u32::try_from(size.div_ceil(1024)).unwrap_or(u32::MAX)
}
