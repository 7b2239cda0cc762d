//! Decoding under limits and encoding anew: what comes out holds pixels and nothing else.

use std::io::Cursor;

use bytes::Bytes;
use image::{
    DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, codecs::jpeg::JpegEncoder,
};

use crate::error::{Error, Kind, Result};

/// The most pixels of a picture.
const MOST_PIXELS: u64 = 50_000_000;

/// The longest side of a picture, in pixels.
const LONGEST_SIDE: u32 = 16_384;

/// The most memory that decoding one picture may take, in bytes.
const MOST_MEMORY: u64 = 256 * 1024 * 1024;

const JPEG_QUALITY: u8 = 85;

/// A picture made anew.
#[derive(Debug, Clone)]
pub struct Picture {
    pub bytes: Bytes,
    pub width: u32,
    pub height: u32,
    format: ImageFormat,
}

impl Picture {
    /// Takes a picture by its content, whatever its name says. Busy for up to a second: run it on
    /// the pool for pictures.
    pub fn decode(bytes: &[u8], field: &str) -> Result<Picture> {
        let broken = |cause: String| {
            Error::new(
                Kind::Invalid("invalid-image"),
                format!("`{field}`: the image is broken or too large"),
            )
            .caused_by(cause)
        };
        let format = image::guess_format(bytes)
            .ok()
            .filter(|format| is_supported(*format))
            .ok_or_else(|| {
                let detail = format!("`{field}`: images must be JPEG, PNG, WebP or GIF");
                Error::new(Kind::UnsupportedMediaType, detail)
            })?;
        let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
        let mut limits = Limits::default();
        limits.max_image_width = Some(LONGEST_SIDE);
        limits.max_image_height = Some(LONGEST_SIDE);
        limits.max_alloc = Some(MOST_MEMORY);
        reader.limits(limits);
        let mut decoder = reader.into_decoder().map_err(|e| broken(e.to_string()))?;
        let (width, height) = decoder.dimensions();
        let pixels = u64::from(width) * u64::from(height);
        if pixels > MOST_PIXELS || decoder.total_bytes() > MOST_MEMORY {
            return Err(broken(format!("{width} × {height} pixels")));
        }
        let orientation = decoder.orientation().map_err(|e| broken(e.to_string()))?;
        let mut image = DynamicImage::from_decoder(decoder).map_err(|e| broken(e.to_string()))?;
        image.apply_orientation(orientation);
        Picture::encode(&image, format).map_err(|e| broken(e.to_string()))
    }

    /// Writes the pixels of `image` in `format`.
    pub fn encode(image: &DynamicImage, format: ImageFormat) -> image::ImageResult<Picture> {
        let mut bytes = Cursor::new(Vec::new());
        match format {
            ImageFormat::Jpeg => {
                let image = DynamicImage::from(image.to_rgb8());
                image
                    .write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY))?;
            }
            // These two encoders take eight bits a channel, with transparency.
            ImageFormat::WebP | ImageFormat::Gif => {
                DynamicImage::from(image.to_rgba8()).write_to(&mut bytes, format)?;
            }
            _ => image.write_to(&mut bytes, format)?,
        }
        Ok(Picture {
            bytes: bytes.into_inner().into(),
            width: image.width(),
            height: image.height(),
            format,
        })
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

fn is_supported(format: ImageFormat) -> bool {
    matches!(
        format,
        ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::WebP | ImageFormat::Gif
    )
}
