//! The memory budget for decoding. The working memory of a decoder is computed from the headers of a file,
//! before anything is decoded.
//!
//! The figures are those of the decoders behind the `image` crate (zune-jpeg, png, image-webp, gif), which do
//! not limit their own working memory.

use std::io::{self, Error, ErrorKind, Read, Seek, SeekFrom};

use image::ImageFormat;

use super::{error::DecodeError, jpeg, webp};

/// The memory budget for one image, in bytes: pixels, working memory, a second buffer for rotation, and the
/// encoder's buffers. A process decodes one image at a time.
pub(super) const MEMORY_BUDGET: u64 = 96 * 1024 * 1024;

/// Returns the working memory of the decoder in addition to the pixels, in bytes.
pub(super) fn working_memory(
    file: &mut (impl Read + Seek),
    format: ImageFormat,
    file_size: u64,
) -> Result<u64, DecodeError> {
    match format {
        // The decoder reads the whole file into memory.
        ImageFormat::Jpeg => Ok(file_size + jpeg::coefficient_memory(file)?),
        // The decoder copies chunks of the file up to two times.
        ImageFormat::WebP => Ok(2 * file_size + webp::working_memory(file, file_size)?),
        // The PNG decoder works row by row. The GIF decoder checks its limit before it allocates a frame in
        // addition to the logical screen.
        _ => Ok(0),
    }
}

/// A reader that fails once the memory of the process has grown by more than the budget since its creation.
///
/// It covers allocations that no header predicts: a lossless WebP of 5 MiB can define 1.3 GiB of Huffman
/// tables.
pub(super) struct MemoryGuard<R> {
    file: R,
    /// The memory of the process at the creation, in bytes; `None` if the system does not report it.
    initial: Option<u64>,
}

impl<R> MemoryGuard<R> {
    pub(super) fn new(file: R) -> MemoryGuard<R> {
        let initial = process_memory();
        MemoryGuard { file, initial }
    }
}

impl<R: Read> Read for MemoryGuard<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let (Some(initial), Some(current)) = (self.initial, process_memory())
            && current.saturating_sub(initial) > MEMORY_BUDGET
        {
            return Err(Error::from(ErrorKind::OutOfMemory));
        }
        self.file.read(buffer)
    }
}

impl<R: Seek> Seek for MemoryGuard<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// Returns the resident anonymous memory of this process, in bytes (Linux only).
fn process_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let (_, rest) = status.split_once("RssAnon:")?;
    let kib: u64 = rest.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}
