//! Decoding under limits and encoding anew: what comes out holds pixels and nothing else.

use std::{
    fs::File,
    io::{BufRead, BufReader, BufWriter, Cursor, Read, Seek, Write},
    path::Path,
    sync::Arc,
};

use bytes::Bytes;
use image::{
    DynamicImage, ImageDecoder, ImageFormat, ImageReader, ImageResult, Limits,
    codecs::jpeg::JpegEncoder, imageops::FilterType,
};

use crate::error::{Error, Kind, Result};

/// The most pixels of a picture.
const MOST_PIXELS: u64 = 50_000_000;

/// The longest side of a picture, in pixels.
const LONGEST_SIDE: u32 = 16_384;

/// The most memory that decoding one picture may take, in bytes.
const MOST_MEMORY: u64 = 256 * 1024 * 1024;

/// The most memory that reading its header may take: a profile of colours that unfolds into gigabytes
/// stands there, too.
const MOST_HEADER: u64 = 16 * 1024 * 1024;

/// No PNG and no JPEG holds more bytes of pixels in one byte of its file: DEFLATE makes 1032 of one
/// (<https://zlib.net/zlib_tech.html>), and a block of 64 pixels takes at least a bit.
const MOST_UNFOLDING: u64 = 1100;

/// What grows beyond this in a lossless format becomes a JPEG where nothing shines through, in bytes.
const MOST_LOSSLESS: u64 = 10 * 1024 * 1024;

const JPEG_QUALITY: u8 = 85;

/// A picture made anew, in a file that has no name and goes away with it.
#[derive(Debug, Clone)]
pub struct Picture {
    file: Arc<File>,
    pub width: u32,
    pub height: u32,
    format: ImageFormat,
}

impl Picture {
    /// Takes a picture by its content, whatever its name says, and writes what it makes of it to
    /// the directory `spool`. Busy for up to a second: run it on the pool for pictures.
    pub fn decode(file: File, spool: &Path, field: &str) -> Result<Picture> {
        let mut source = BufReader::new(file);
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
        let image = pixels(source, format).map_err(|cause| {
            let detail = format!("`{field}`: the image is broken or too large");
            Error::new(Kind::Invalid("invalid-image"), detail).caused_by(cause)
        })?;
        let written = |format| Picture::write(&image, format, spool);
        let picture = written(format)?;
        let size = picture.file.metadata().map_err(|e| unreadable(&e))?.len();
        if size > MOST_LOSSLESS && format != ImageFormat::Jpeg && !is_transparent(&image) {
            return written(ImageFormat::Jpeg);
        }
        Ok(picture)
    }

    fn write(image: &DynamicImage, format: ImageFormat, spool: &Path) -> Result<Picture> {
        let file = tempfile::tempfile_in(spool).map_err(|error| unreadable(&error))?;
        let mut sink = BufWriter::new(file);
        encode(image, format, &mut sink).map_err(|error| match error {
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

    /// What it is as a file.
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

/// A picture of this shop at a smaller width, never a larger one: a JPEG, or a PNG where something
/// shines through. Busy as [`Picture::decode`].
pub(super) fn narrowed(file: &Bytes, width: u32) -> Result<Bytes> {
    let failed = |cause: Box<dyn std::error::Error + Send + Sync>| Error::internal(cause);
    let format = image::guess_format(file).map_err(|e| failed(e.into()))?;
    let reader = ImageReader::with_format(Cursor::new(file), format);
    let (wide, _) = reader.into_dimensions().map_err(|e| failed(e.into()))?;
    if wide <= width && format == ImageFormat::Jpeg {
        return Ok(file.clone());
    }
    let image = pixels(Cursor::new(file), format).map_err(failed)?;
    let is_transparent = is_transparent(&image);
    if wide <= width && is_transparent && format == ImageFormat::Png {
        return Ok(file.clone());
    }
    let image = if wide > width {
        let height = u64::from(image.height()) * u64::from(width) / u64::from(wide);
        let height = u32::try_from(height.max(1)).map_err(Error::internal)?;
        image.resize_exact(width, height, FilterType::CatmullRom)
    } else {
        image
    };
    let format = if is_transparent {
        ImageFormat::Png
    } else {
        ImageFormat::Jpeg
    };
    let mut bytes = Cursor::new(Vec::new());
    encode(&image, format, &mut bytes).map_err(|e| failed(e.into()))?;
    Ok(bytes.into_inner().into())
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The pixels of a picture, the right way up. Its header is looked at before anything is decoded.
fn pixels(mut source: impl BufRead + Seek, format: ImageFormat) -> Result<DynamicImage, Cause> {
    let size = source.seek(std::io::SeekFrom::End(0))?;
    source.rewind()?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(LONGEST_SIDE);
    limits.max_image_height = Some(LONGEST_SIDE);
    limits.max_alloc = Some(MOST_HEADER);
    let mut reader = ImageReader::with_format(source, format);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    let (count, total) = (u64::from(width) * u64::from(height), decoder.total_bytes());
    let unfolds =
        matches!(format, ImageFormat::Jpeg | ImageFormat::Png) && total / MOST_UNFOLDING > size;
    if count > MOST_PIXELS || total > MOST_MEMORY || unfolds {
        return Err(format!("{width} × {height} pixels in {size} bytes").into());
    }
    limits.max_alloc = Some(MOST_MEMORY);
    decoder.set_limits(limits)?;
    let orientation = decoder.orientation()?;
    let mut image = DynamicImage::from_decoder(decoder)?;
    image.apply_orientation(orientation);
    Ok(image)
}

fn encode(
    image: &DynamicImage,
    format: ImageFormat,
    sink: &mut (impl Write + Seek),
) -> ImageResult<()> {
    match format {
        ImageFormat::Jpeg => {
            let encoder = JpegEncoder::new_with_quality(sink, JPEG_QUALITY);
            match image {
                DynamicImage::ImageRgb8(_) | DynamicImage::ImageLuma8(_) => {
                    image.write_with_encoder(encoder)
                }
                _ => image.to_rgb8().write_with_encoder(encoder),
            }
        }
        // These two encoders take eight bits a channel, with transparency.
        ImageFormat::WebP | ImageFormat::Gif if !matches!(image, DynamicImage::ImageRgba8(_)) => {
            DynamicImage::from(image.to_rgba8()).write_to(sink, format)
        }
        _ => image.write_to(sink, format),
    }
}

/// Whether anything shines through.
fn is_transparent(image: &DynamicImage) -> bool {
    use image::GenericImageView;
    image.color().has_alpha() && image.pixels().any(|(_, _, pixel)| pixel.0[3] < 255)
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
