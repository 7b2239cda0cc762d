//! Decodes uploads within limits on pixels and memory, and encodes them again.
//!
//! The result holds upright sRGB pixels and no metadata. The limits are checked on the headers, before any
//! pixel is decoded:
//! - [`jpeg`] and [`webp`] parse what the decoders do not report: working memory, and missing image data.
//! - [`animation`] rejects files with more than one frame.
//! - [`exif`] and [`color`] read the metadata that changes how the pixels are displayed.

mod animation;
mod color;
mod decode;
mod encode;
mod encoded;
mod error;
mod exif;
mod jpeg;
mod memory;
mod png_header;
mod resize;
mod webp;

use std::io::{self, BufRead, Read, Seek, Write};

pub(super) use self::{
    encoded::{EncodedImage, spool_error},
    resize::resize,
};

/// What decoders read. As a trait object, it lets them be compiled once and not for each kind of file.
trait ImageSource: BufRead + Seek {}

impl<S: BufRead + Seek> ImageSource for S {}

/// What encoders write, for the same reason.
trait ImageSink: Write + Seek {}

impl<S: Write + Seek> ImageSink for S {}

/// Returns the media type of an image file, from its first bytes.
pub(super) fn content_type(file: &[u8]) -> &'static str {
    image::guess_format(file).map_or("application/octet-stream", |format| format.to_mime_type())
}

/// Reads the next `N` bytes.
fn read_array<const N: usize>(file: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Moves to a position from the start. Unlike `seek`, it keeps the data that a reader has buffered.
fn seek(file: &mut impl Seek, position: u64) -> io::Result<()> {
    let current = file.stream_position()?;
    file.seek_relative(position.wrapping_sub(current).cast_signed())
}
