//! Scales stored images down to thumbnails.

use std::io::{BufReader, Cursor};

use bytes::Bytes;
use image::{DynamicImage, ImageFormat, imageops::FilterType};

use super::{decode::Header, encode, memory::MemoryGuard};
use crate::core::error::{Error, Result};

/// The memory budget for resizing, in bytes. It is below that for decoding, because the allocator retains the
/// many small buffers of the resampler while the next image is decoded.
const RESIZE_BUDGET: u64 = 60 * 1024 * 1024;

/// The size of a pixel in the resampler's intermediate image: four 32-bit floats.
const FLOAT_PIXEL: u64 = 16;

/// Returns a thumbnail of a stored image, at most `width` pixels wide: a PNG if it has transparent pixels,
/// else a JPEG. Returns the file unchanged if it is such a file already, or if resizing exceeds the
/// memory budget. It may take seconds of CPU time: run it on the image pool.
pub(crate) fn resize(file: &Bytes, width: u32) -> Result<Bytes> {
    let format = image::guess_format(file).map_err(Error::internal)?;
    let mut source = Cursor::new(file);
    let header = match Header::read(&mut source, format) {
        Ok(header) => header,
        Err(error) => return error.or_original(file),
    };
    if header.width <= width && format == ImageFormat::Jpeg {
        return Ok(file.clone());
    }
    let source = BufReader::with_capacity(16 * 1024, MemoryGuard::new(source));
    let checked = header.check_memory(RESIZE_BUDGET);
    let image = match checked.and_then(|()| header.decode(source)) {
        Ok(image) => image,
        Err(error) => return error.or_original(file),
    };
    let is_transparent = encode::is_transparent(&image);
    if header.width <= width && is_transparent && format == ImageFormat::Png {
        return Ok(file.clone());
    }
    let Some(image) = scale_down(image, width) else {
        return Ok(file.clone());
    };
    let mut bytes = Cursor::new(Vec::new());
    encode::encode(&image, encode::compact_format(&image), &mut bytes).map_err(Error::internal)?;
    Ok(bytes.into_inner().into())
}

/// Scales an image down to a width. Returns `None` if that exceeds the memory budget.
///
/// The resampler works in floating point. To save memory, an image is first reduced by an integer factor,
/// which averages pixels and needs no intermediate image.
fn scale_down(image: DynamicImage, width: u32) -> Option<DynamicImage> {
    if image.width() <= width {
        return Some(image);
    }
    let height = u64::from(image.height()) * u64::from(width) / u64::from(image.width());
    let height = u32::try_from(height.max(1)).ok()?;
    let size = |image: &DynamicImage| image.as_bytes().len() as u64;
    let factor = image.width() / width;
    let image = if factor > 1 {
        if size(&image) + size(&image) / u64::from(factor * factor) > RESIZE_BUDGET {
            return None;
        }
        let (reduced_width, reduced_height) = (image.width() / factor, image.height() / factor);
        let reduced = image.thumbnail_exact(reduced_width, reduced_height.max(height));
        drop(image);
        reduced
    } else {
        image
    };
    let intermediate = FLOAT_PIXEL * u64::from(height) * u64::from(image.width() + width);
    let is_within_budget = size(&image) + intermediate <= RESIZE_BUDGET;
    is_within_budget.then(|| image.resize_exact(width, height, FilterType::CatmullRom))
}
