//! Decodes images after checking their headers against the limits.

use std::io::{self, BufRead, Cursor, Seek};

use image::{
    DynamicImage, ImageDecoder, ImageFormat, ImageReader, ImageResult, Limits,
    metadata::Orientation,
};

use super::{
    ImageSource, animation, color,
    error::DecodeError,
    exif, jpeg,
    memory::{MEMORY_BUDGET, working_memory},
    png_header,
};

/// The maximum width and height, in pixels.
pub(super) const MAX_SIDE: u32 = 16_384;

/// The maximum memory for reading headers, in bytes. The ICC profile of a PNG is compressed and could inflate
/// to gigabytes.
pub(super) const MAX_HEADER_MEMORY: u64 = 4 * 1024 * 1024;

/// The maximum compression ratio of a PNG or JPEG. DEFLATE reaches 1032:1 (<https://zlib.net/zlib_tech.html>);
/// in a JPEG, each block of 64 samples takes at least one bit.
const MAX_RATIO: u64 = 1100;

/// Decodes an upload. Returns its pixels, upright and in sRGB.
pub(super) fn upload(
    mut source: impl BufRead + Seek,
    format: ImageFormat,
    max_pixels: u64,
) -> Result<DynamicImage, DecodeError> {
    let header = Header::read(&mut source, format)?;
    let count = u64::from(header.width) * u64::from(header.height);
    if count > max_pixels {
        return Err(DecodeError::TooManyPixels {
            width: header.width,
            height: header.height,
            max: max_pixels,
        });
    }
    header.check_memory(MEMORY_BUDGET)?;
    animation::check_single_frame(&mut source, format)?;
    if format == ImageFormat::Jpeg {
        // The decoder reads the whole file into memory, too; `working_memory` accounts for it.
        let mut file = Vec::new();
        source.rewind()?;
        source.read_to_end(&mut file)?;
        if !jpeg::check_complete(&file)? {
            // Without an EOI marker, the decoder drops the last row of MCUs if it is short, since it reads
            // ahead.
            file.extend(jpeg::EOI_MARKER);
            return header.decode(Cursor::new(file));
        }
    }
    header.decode(source)
}

/// The properties of an image that are known before decoding.
pub(super) struct Header {
    format: ImageFormat,
    pub(super) width: u32,
    height: u32,
    orientation: Orientation,
    /// The size of the decoded pixels, in bytes.
    pixel_bytes: u64,
    /// The memory that decoding takes in addition to the pixels, in bytes.
    working_memory: u64,
}

impl Header {
    /// Errors: a side above the limit, and every property that shows the file to be corrupt.
    pub(super) fn read(
        source: &mut (impl BufRead + Seek),
        format: ImageFormat,
    ) -> Result<Header, DecodeError> {
        let file_size = source.seek(io::SeekFrom::End(0))?;
        let working_memory = working_memory(source, format, file_size)?;
        source.rewind()?;
        let mut decoder = decoder(source, format)?;
        let (width, height) = decoder.dimensions();
        if width.max(height) > MAX_SIDE {
            return Err(DecodeError::SideTooLong(width.max(height)));
        }
        let pixel_bytes = decoder.total_bytes();
        let is_bounded = matches!(format, ImageFormat::Jpeg | ImageFormat::Png);
        if is_bounded && pixel_bytes / MAX_RATIO > file_size {
            let claim = format!("{width} × {height} pixels in {file_size} bytes");
            return Err(DecodeError::corrupt(claim));
        }
        let exif = decoder.exif_metadata()?;
        let orientation = exif.and_then(|exif| exif::orientation(&exif));
        let orientation = orientation.unwrap_or(Orientation::NoTransforms);
        Ok(Header {
            format,
            width,
            height,
            orientation,
            pixel_bytes,
            working_memory,
        })
    }

    /// Errors: `DecodeError::OutOfMemory` if decoding takes more than `budget` bytes.
    pub(super) fn check_memory(&self, budget: u64) -> Result<(), DecodeError> {
        // A rotation by 90° needs a second pixel buffer. The decoder's memory is free again by then.
        let rotation_buffer = if matches!(
            self.orientation,
            Orientation::NoTransforms
                | Orientation::Rotate180
                | Orientation::FlipHorizontal
                | Orientation::FlipVertical
        ) {
            0
        } else {
            self.pixel_bytes
        };
        let needed = self.pixel_bytes + self.working_memory.max(rotation_buffer);
        if needed > budget {
            return Err(DecodeError::OutOfMemory);
        }
        Ok(())
    }

    /// Decodes the pixels, converts them to sRGB and rotates them upright.
    pub(super) fn decode(
        &self,
        mut source: impl BufRead + Seek,
    ) -> Result<DynamicImage, DecodeError> {
        let mut profile = None;
        if self.format == ImageFormat::Png {
            profile = color::png_profile(&png_header::read_info(&mut source)?);
        }
        source.rewind()?;
        let mut decoder = decoder(&mut source, self.format)?;
        let mut limits = header_limits();
        limits.max_alloc = Some(MEMORY_BUDGET.saturating_sub(self.pixel_bytes));
        decoder.set_limits(limits)?;
        if self.format != ImageFormat::Png {
            profile = decoder
                .icc_profile()?
                .and_then(|bytes| color::icc_profile(&bytes));
        }
        let mut image = DynamicImage::from_decoder(decoder)?;
        if let Some(profile) = profile {
            color::to_srgb(&mut image, &profile);
        }
        image.apply_orientation(self.orientation);
        Ok(image)
    }
}

fn header_limits() -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_HEADER_MEMORY);
    limits
}

fn decoder(
    source: &mut dyn ImageSource,
    format: ImageFormat,
) -> ImageResult<impl ImageDecoder + '_> {
    let mut reader = ImageReader::with_format(source, format);
    reader.limits(header_limits());
    reader.into_decoder()
}
