//! Decodes uploads under limits and encodes them again: what comes out holds pixels and nothing else.

mod color;
mod cost;
mod encode;
mod exif;
mod frames;
mod jpeg;
mod refusal;

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Cursor, Read, Seek},
    path::Path,
    sync::Arc,
};

use bytes::Bytes;
use image::{
    DynamicImage, ImageDecoder, ImageFormat, ImageReader, ImageResult, Limits,
    imageops::FilterType, metadata::Orientation,
};

use self::{
    cost::{BUDGET, Watched},
    refusal::{Cause, Refusal},
};
use super::STORED_LIMIT;
use crate::core::error::{Error, Kind, Result};

/// The longest side of a picture, in pixels.
const MAX_SIDE: u32 = 16_384;

/// The most memory that reading a header may take, in bytes: a colour profile that inflates to gigabytes
/// is part of a PNG's.
const MAX_HEADER: u64 = 4 * 1024 * 1024;

/// No PNG and no JPEG holds more bytes of pixels in one byte of its file: DEFLATE makes 1032 of one
/// (<https://zlib.net/zlib_tech.html>), and a block of 64 pixels takes at least a bit.
const MAX_RATIO: u64 = 1100;

/// The most memory that resizing may take at a time, in bytes. Its many small buffers stay with the
/// allocator, beside the next picture.
const RESIZING: u64 = 60 * 1024 * 1024;

/// A lossless picture that grows beyond this becomes a JPEG where it is opaque, in bytes.
const MAX_LOSSLESS: u64 = 10 * 1024 * 1024;

/// A picture encoded again, in a file without a name that goes away with it.
#[derive(Debug, Clone)]
pub struct Picture {
    file: Arc<File>,
    pub width: u32,
    pub height: u32,
    format: ImageFormat,
}

impl Picture {
    /// Identifies a picture by its content, whatever its name says, and writes it again to the directory
    /// `spool`. It may have up to `max_pixels`. Busy for up to some seconds: run it on the image pool.
    ///
    /// Errors: `unsupported-media-type`; `invalid-image` names the limit that was exceeded.
    pub fn decode(file: File, spool: &Path, field: &str, max_pixels: u64) -> Result<Picture> {
        let mut source = BufReader::with_capacity(16 * 1024, Watched::new(file));
        let format = source
            .rewind()
            .and_then(|()| source.fill_buf().map(image::guess_format))
            .map_err(|error| unreadable(&error))?
            .ok()
            .filter(|format| is_supported(*format))
            .ok_or_else(|| {
                let detail = format!("`{field}`: images must be JPEG, PNG, WebP or GIF");
                Error::new(Kind::UnsupportedMediaType, detail)
            })?;
        let refused = |refusal: Refusal| refusal.into_error(field);
        let image = pixels(source, format, max_pixels).map_err(refused)?;
        let written = |format| Picture::write(&image, format, spool);
        let mut picture = written(encode::target(&image, format))?;
        if picture.size()? > MAX_LOSSLESS && picture.format != ImageFormat::Jpeg {
            let compact = encode::compact(&image);
            if compact != picture.format {
                picture = written(compact)?;
            }
        }
        let size = picture.size()?;
        if size > STORED_LIMIT.into() {
            return Err(refused(Refusal::Stored { size }));
        }
        Ok(picture)
    }

    fn write(image: &DynamicImage, format: ImageFormat, spool: &Path) -> Result<Picture> {
        let file = tempfile::tempfile_in(spool).map_err(|error| unreadable(&error))?;
        let mut sink = BufWriter::new(file);
        encode::encode(image, format, &mut sink).map_err(|error| match error {
            image::ImageError::IoError(error) => unreadable(&error),
            error => Error::internal(error),
        })?;
        let file = sink
            .into_inner()
            .map_err(|error| unreadable(error.error()))?;
        Ok(Picture {
            file: Arc::new(file),
            width: image.width(),
            height: image.height(),
            format,
        })
    }

    /// The length of the file, in bytes.
    pub fn size(&self) -> Result<u64> {
        let metadata = self.file.metadata().map_err(|e| unreadable(&e))?;
        Ok(metadata.len())
    }

    /// The content of the file.
    pub fn bytes(&self) -> Result<Bytes> {
        let mut file = self.file.as_ref();
        let mut bytes = Vec::new();
        file.rewind()
            .and_then(|()| file.read_to_end(&mut bytes))
            .map_err(|error| unreadable(&error))?;
        Ok(bytes.into())
    }

    pub fn content_type(&self) -> &'static str {
        self.format.to_mime_type()
    }

    pub(super) fn extension(&self) -> &'static str {
        self.format
            .extensions_str()
            .first()
            .copied()
            .unwrap_or("bin")
    }
}

/// A stored picture at a smaller width, never a larger one: a JPEG, or a PNG where it is transparent. The
/// picture as it is, where it is small already, or larger than can be resized within the budget. Busy as
/// [`Picture::decode`].
pub(super) fn resized(file: &Bytes, width: u32) -> Result<Bytes> {
    let failed = |cause: Cause| Error::internal(cause);
    let format = image::guess_format(file).map_err(|e| failed(e.into()))?;
    let mut source = Cursor::new(file);
    let header = match Header::read(&mut source, format) {
        Ok(header) => header,
        Err(refusal) => return refusal.or_original(file),
    };
    if header.width <= width && format == ImageFormat::Jpeg {
        return Ok(file.clone());
    }
    let source = BufReader::with_capacity(16 * 1024, Watched::new(source));
    let checked = header.check_memory(RESIZING);
    let image = match checked.and_then(|()| header.decode(source)) {
        Ok(image) => image,
        Err(refusal) => return refusal.or_original(file),
    };
    let is_transparent = encode::is_transparent(&image);
    if header.width <= width && is_transparent && format == ImageFormat::Png {
        return Ok(file.clone());
    }
    let Some(image) = reduced(image, width) else {
        return Ok(file.clone());
    };
    let mut bytes = Cursor::new(Vec::new());
    encode::encode(&image, encode::compact(&image), &mut bytes).map_err(|e| failed(e.into()))?;
    Ok(bytes.into_inner().into())
}

/// Reduces a picture to that width; `None` where that takes too much memory. It is first averaged by a
/// whole factor, which needs no buffer: what remains is resized in floating point, four numbers of four
/// bytes for each pixel of the intermediate picture.
fn reduced(image: DynamicImage, width: u32) -> Option<DynamicImage> {
    const FLOATS: u64 = 16;
    if image.width() <= width {
        return Some(image);
    }
    let height = u64::from(image.height()) * u64::from(width) / u64::from(image.width());
    let height = u32::try_from(height.max(1)).ok()?;
    let bytes = |image: &DynamicImage| image.as_bytes().len() as u64;
    let factor = image.width() / width;
    let image = if factor > 1 {
        if bytes(&image) + bytes(&image) / u64::from(factor * factor) > RESIZING {
            return None;
        }
        let (across, down) = (image.width() / factor, image.height() / factor);
        let averaged = image.thumbnail_exact(across, down.max(height));
        drop(image);
        averaged
    } else {
        image
    };
    let floats = FLOATS * u64::from(height) * u64::from(image.width() + width);
    let fits = bytes(&image) + floats <= RESIZING;
    fits.then(|| image.resize_exact(width, height, FilterType::CatmullRom))
}

/// The pixels of a picture, upright and in sRGB. Nothing is decoded before its header has passed the limits.
fn pixels(
    mut source: impl BufRead + Seek,
    format: ImageFormat,
    max_pixels: u64,
) -> Result<DynamicImage, Refusal> {
    let header = Header::read(&mut source, format)?;
    let count = u64::from(header.width) * u64::from(header.height);
    if count > max_pixels {
        return Err(Refusal::Pixels {
            width: header.width,
            height: header.height,
            max: max_pixels,
        });
    }
    header.check_memory(BUDGET)?;
    frames::check_still(&mut source, format)?;
    if format == ImageFormat::Jpeg {
        // The decoder will hold the file, too.
        let mut file = Vec::new();
        source.rewind()?;
        source.read_to_end(&mut file)?;
        if !jpeg::check_complete(&file)? {
            // The decoder reads ahead, and skips a last row that is shorter than that.
            file.extend(jpeg::END);
            return header.decode(Cursor::new(file));
        }
    }
    header.decode(source)
}

/// What a picture says of itself.
struct Header {
    format: ImageFormat,
    width: u32,
    height: u32,
    orientation: Orientation,
    /// The size of its pixels, in bytes.
    pixels: u64,
    /// What decoding takes beside them, in bytes.
    working: u64,
}

impl Header {
    fn read(source: &mut (impl BufRead + Seek), format: ImageFormat) -> Result<Header, Refusal> {
        let size = source.seek(io::SeekFrom::End(0))?;
        let working = cost::working_memory(source, format, size)?;
        source.rewind()?;
        let mut decoder = decoder(source, format)?;
        let (width, height) = decoder.dimensions();
        if width.max(height) > MAX_SIDE {
            return Err(Refusal::Side(width.max(height)));
        }
        let pixels = decoder.total_bytes();
        if matches!(format, ImageFormat::Jpeg | ImageFormat::Png) && pixels / MAX_RATIO > size {
            let claim = format!("{width} × {height} pixels in {size} bytes");
            return Err(Refusal::broken(claim));
        }
        let exif = decoder.exif_metadata()?;
        let orientation = exif.and_then(|exif| exif::orientation(&exif));
        let orientation = orientation.unwrap_or(Orientation::NoTransforms);
        Ok(Header {
            format,
            width,
            height,
            orientation,
            pixels,
            working,
        })
    }

    fn check_memory(&self, budget: u64) -> Result<(), Refusal> {
        // Turning a picture by a right angle takes a second buffer; the decoder is done by then.
        let turned = if matches!(
            self.orientation,
            Orientation::NoTransforms
                | Orientation::Rotate180
                | Orientation::FlipHorizontal
                | Orientation::FlipVertical
        ) {
            0
        } else {
            self.pixels
        };
        let needed = self.pixels + self.working.max(turned);
        if needed > budget {
            return Err(Refusal::Memory);
        }
        Ok(())
    }

    fn decode(&self, mut source: impl BufRead + Seek) -> Result<DynamicImage, Refusal> {
        let mut profile = None;
        if self.format == ImageFormat::Png {
            profile = color::of_png(&frames::png_info(&mut source)?);
        }
        source.rewind()?;
        let mut decoder = decoder(source, self.format)?;
        let mut limits = limits();
        limits.max_alloc = Some(BUDGET.saturating_sub(self.pixels));
        decoder.set_limits(limits)?;
        if self.format != ImageFormat::Png {
            profile = decoder.icc_profile()?.and_then(|bytes| color::icc(&bytes));
        }
        let mut image = DynamicImage::from_decoder(decoder)?;
        if let Some(profile) = profile {
            color::to_srgb(&mut image, &profile);
        }
        image.apply_orientation(self.orientation);
        Ok(image)
    }
}

fn limits() -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_HEADER);
    limits
}

fn decoder<'a>(
    source: impl BufRead + Seek + 'a,
    format: ImageFormat,
) -> ImageResult<impl ImageDecoder + 'a> {
    let mut reader = ImageReader::with_format(source, format);
    reader.limits(limits());
    reader.into_decoder()
}

fn is_supported(format: ImageFormat) -> bool {
    matches!(
        format,
        ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::WebP | ImageFormat::Gif
    )
}

/// The disk that holds pictures on their way in does not work.
pub(super) fn unreadable(error: &std::io::Error) -> Error {
    let (kind, detail) = match error.kind() {
        std::io::ErrorKind::StorageFull => {
            (Kind::StorageFull, "the disk is full; nothing was kept")
        }
        _ => (Kind::Internal, "something went wrong on our side"),
    };
    Error::new(kind, detail).caused_by(error.to_string())
}
