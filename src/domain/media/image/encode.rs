//! Encodes images. An encoder that needs its own buffers is used only if they fit into the memory budget.

use std::io::Write;

use image::{
    DynamicImage, ExtendedColorType, Frame, GenericImageView, ImageEncoder, ImageError,
    ImageFormat, ImageResult, Rgb, RgbaImage,
    codecs::{gif::GifEncoder, jpeg::JpegEncoder, webp::WebPEncoder},
    error::{EncodingError, ImageFormatHint, UnsupportedError},
};

use super::{ImageSink, memory::MEMORY_BUDGET};

const JPEG_QUALITY: u8 = 85;

/// The maximum number of bytes that the encoders of WebP and GIF allocate per pixel: an RGBA copy, and the
/// result.
const WEBP_BYTES_PER_PIXEL: u64 = 8;
const GIF_BYTES_PER_PIXEL: u64 = 7;

/// Returns the format to encode an upload in: its own format, or a compact one if memory does not suffice.
pub(super) fn output_format(image: &DynamicImage, format: ImageFormat) -> ImageFormat {
    let bytes_per_pixel = match format {
        ImageFormat::WebP => WEBP_BYTES_PER_PIXEL,
        ImageFormat::Gif => GIF_BYTES_PER_PIXEL,
        format => return format,
    };
    let pixels = u64::from(image.width()) * u64::from(image.height());
    if image.as_bytes().len() as u64 + bytes_per_pixel * pixels > MEMORY_BUDGET {
        compact_format(image)
    } else {
        format
    }
}

/// Returns PNG for an image with transparent pixels, else JPEG. Their encoders work row by row.
pub(super) fn compact_format(image: &DynamicImage) -> ImageFormat {
    if is_transparent(image) {
        ImageFormat::Png
    } else {
        ImageFormat::Jpeg
    }
}

/// Returns whether any pixel is not opaque.
pub(super) fn is_transparent(image: &DynamicImage) -> bool {
    image.color().has_alpha() && image.pixels().any(|(_, _, pixel)| pixel.0[3] < 255)
}

/// Encodes an image. JPEG drops the alpha channel.
pub(super) fn encode(
    image: &DynamicImage,
    format: ImageFormat,
    sink: &mut dyn ImageSink,
) -> ImageResult<()> {
    match format {
        ImageFormat::Jpeg => {
            let mut encoder = JpegEncoder::new_with_quality(sink, JPEG_QUALITY);
            match image {
                DynamicImage::ImageRgb8(image) => encoder.encode_image(image),
                DynamicImage::ImageLuma8(image) => encoder.encode_image(image),
                image => encoder.encode_image(&RgbView(image)),
            }
        }
        ImageFormat::WebP => {
            let encoder = WebPEncoder::new_lossless(sink);
            let color = match image {
                DynamicImage::ImageRgb8(_) => ExtendedColorType::Rgb8,
                DynamicImage::ImageRgba8(_) => ExtendedColorType::Rgba8,
                other => return DynamicImage::from(other.to_rgba8()).write_with_encoder(encoder),
            };
            encoder.write_image(image.as_bytes(), image.width(), image.height(), color)
        }
        ImageFormat::Gif => {
            let pixels: RgbaImage = image.to_rgba8();
            GifEncoder::new(sink).encode_frame(Frame::new(pixels))
        }
        ImageFormat::Png => encode_png(image, sink).map_err(|error| match error {
            png::EncodingError::IoError(error) => error.into(),
            error => {
                let hint = ImageFormatHint::Exact(ImageFormat::Png);
                ImageError::Encoding(EncodingError::new(hint, error))
            }
        }),
        other => {
            let hint = ImageFormatHint::Exact(other);
            Err(ImageError::Unsupported(UnsupportedError::from(hint)))
        }
    }
}

/// Encodes a PNG as a stream. The encoder of the `image` crate would hold the whole file in memory.
fn encode_png(image: &DynamicImage, sink: &mut dyn ImageSink) -> Result<(), png::EncodingError> {
    let color = image.color();
    let mut encoder = png::Encoder::new(sink, image.width(), image.height());
    encoder.set_color(match (color.has_color(), color.has_alpha()) {
        (false, false) => png::ColorType::Grayscale,
        (false, true) => png::ColorType::GrayscaleAlpha,
        (true, false) => png::ColorType::Rgb,
        (true, true) => png::ColorType::Rgba,
    });
    let is_16bit = color.bytes_per_pixel() / color.channel_count() == 2;
    if is_16bit {
        encoder.set_depth(png::BitDepth::Sixteen);
    }
    encoder.set_deflate_compression(png::DeflateCompression::Level(1));
    encoder.set_filter(png::Filter::Adaptive);
    let mut writer = encoder.write_header()?;
    let mut rows = writer.stream_writer()?;
    for bytes in image.as_bytes().chunks(16 * 1024) {
        if is_16bit {
            // PNG stores samples in big-endian order.
            let samples = bytes.as_chunks::<2>().0.iter();
            let bytes: Vec<u8> = samples
                .flat_map(|sample| u16::from_ne_bytes(*sample).to_be_bytes())
                .collect();
            rows.write_all(&bytes)?;
        } else {
            rows.write_all(bytes)?;
        }
    }
    rows.finish()
}

/// A view of an image as 8-bit RGB without alpha, without a copy of its pixels.
struct RgbView<'a>(&'a DynamicImage);

impl GenericImageView for RgbView<'_> {
    type Pixel = Rgb<u8>;

    fn dimensions(&self) -> (u32, u32) {
        self.0.dimensions()
    }

    fn get_pixel(&self, x: u32, y: u32) -> Rgb<u8> {
        let [red, green, blue, _] = self.0.get_pixel(x, y).0;
        Rgb([red, green, blue])
    }
}
