//! The container of a WebP file (RFC 9649), parsed for the working memory of the decoder.
//!
//! The frames inside the container have their own sizes, and chunks their own lengths. A frame that exceeds the
//! canvas, and a chunk that exceeds the file, are rejected. So is a second frame.

use std::io::{Read, Seek};

use super::{error::DecodeError, read_array, seek};

/// Returns the working memory of the decoder in addition to the pixels, in bytes.
pub(super) fn working_memory(
    file: &mut (impl Read + Seek),
    file_size: u64,
) -> Result<u64, DecodeError> {
    file.rewind()?;
    let riff: [u8; 12] = read_array(file)?;
    if &riff[..4] != b"RIFF" || &riff[8..] != b"WEBP" {
        return Err(DecodeError::corrupt("a WebP must start with RIFF and WEBP"));
    }
    let first = Chunk::read(file, 12, file_size)?;
    if &first.fourcc != b"VP8X" {
        return Frame::read(file, &first, file_size)?
            .ok_or_else(|| DecodeError::corrupt("a WebP without image data"))
            .map(|frame| frame.memory(frame.has_alpha));
    }
    seek(file, first.start)?;
    let [flags, _, _, _, w0, w1, w2, h0, h1, h2] = read_array(file)?;
    let has_alpha = flags & 0x10 != 0;
    let side = |bytes| u64::from(u32::from_le_bytes(bytes)) + 1;
    let canvas = (side([w0, w1, w2, 0]), side([h0, h1, h2, 0]));
    // The decoder looks for chunks up to this position.
    let [_, _, _, _, riff_size @ .., _, _, _, _] = riff;
    let end = file_size.min(u64::from(u32::from_le_bytes(riff_size)) + 18);
    let mut memory = 0;
    let mut frames = 0;
    let mut chunk = first;
    while let Some(next) = chunk.next(file, end)? {
        // The chunks of an animation frame follow the 16 bytes of its header.
        let (inner, is_animated) = if &next.fourcc == b"ANMF" {
            frames += 1;
            if frames > 1 {
                return Err(DecodeError::Animated);
            }
            let frame_end = next.end().min(end);
            let mut inner = vec![Chunk::read(file, next.start + 16, frame_end)?];
            inner.extend(inner[0].next(file, frame_end)?);
            (inner, true)
        } else {
            (vec![Chunk { ..next }], false)
        };
        let mut frame_memory = 0;
        for chunk in &inner {
            if &chunk.fourcc == b"ALPH" {
                frame_memory += alpha_memory(file, chunk, canvas)?;
            } else if let Some(frame) = Frame::read(file, chunk, end)? {
                if frame.width > canvas.0 || frame.height > canvas.1 {
                    return Err(DecodeError::corrupt(
                        "a frame of the WebP is larger than its canvas",
                    ));
                }
                frame_memory += frame.memory(has_alpha && !is_animated);
                if is_animated {
                    // The canvas, and the pixels of the frame. `Frame::memory` counts the latter if it is
                    // lossless.
                    let buffers = if frame.is_lossless { 1 } else { 2 };
                    frame_memory += buffers * 4 * canvas.0 * canvas.1;
                }
            }
        }
        memory += frame_memory;
        chunk = next;
    }
    Ok(memory)
}

/// A chunk of a RIFF file (RFC 9649, section 2.3).
struct Chunk {
    fourcc: [u8; 4],
    /// The position of the payload.
    start: u64,
    /// The size of the payload, in bytes.
    size: u64,
}

impl Chunk {
    /// Reads the chunk header at `position`. The payload must not exceed `end`.
    fn read(file: &mut (impl Read + Seek), position: u64, end: u64) -> Result<Chunk, DecodeError> {
        seek(file, position)?;
        let chunk = Chunk {
            fourcc: read_array(file)?,
            start: position + 8,
            size: u32::from_le_bytes(read_array(file)?).into(),
        };
        if chunk.start + chunk.size > end {
            let cause = "a chunk of the WebP exceeds the file";
            return Err(DecodeError::corrupt(cause));
        }
        Ok(chunk)
    }

    /// The end of the payload and of its padding to an even size.
    fn end(&self) -> u64 {
        self.start + self.size + self.size % 2
    }

    /// Reads the header of the following chunk. Returns `None` at `end`.
    fn next(&self, file: &mut (impl Read + Seek), end: u64) -> Result<Option<Chunk>, DecodeError> {
        if self.end() + 8 > end {
            return Ok(None);
        }
        Chunk::read(file, self.end(), end).map(Some)
    }
}

/// The bitstream of a frame: `VP8 ` (lossy) or `VP8L` (lossless).
struct Frame {
    is_lossless: bool,
    has_alpha: bool,
    width: u64,
    height: u64,
}

impl Frame {
    /// Reads the frame header. Returns `None` for any other chunk.
    fn read(
        file: &mut (impl Read + Seek),
        chunk: &Chunk,
        end: u64,
    ) -> Result<Option<Frame>, DecodeError> {
        if chunk.start + 10 > end {
            return Ok(None);
        }
        seek(file, chunk.start)?;
        let header: [u8; 10] = read_array(file)?;
        let frame = match &chunk.fourcc {
            b"VP8 " => {
                let side =
                    |at| u64::from(u16::from_le_bytes([header[at], header[at + 1]]) & 0x3fff);
                Frame {
                    is_lossless: false,
                    has_alpha: false,
                    width: side(6),
                    height: side(8),
                }
            }
            b"VP8L" => {
                let sides = u32::from_le_bytes([header[1], header[2], header[3], header[4]]);
                Frame {
                    is_lossless: true,
                    has_alpha: (sides >> 28) & 1 != 0,
                    width: u64::from(sides & 0x3fff) + 1,
                    height: u64::from((sides >> 14) & 0x3fff) + 1,
                }
            }
            _ => return Ok(None),
        };
        Ok(Some(frame))
    }

    /// Returns the working memory of the decoder for this frame, in bytes.
    ///
    /// - Lossy: the planes Y, U and V (4:2:0), padded to macroblocks of 16 × 16 pixels.
    /// - Lossless: see [`lossless_memory`]. The pixels count as well, in RGBA, unless `is_direct`: then they
    ///   are decoded into the result.
    fn memory(&self, is_direct: bool) -> u64 {
        let (width, height) = (self.width, self.height);
        match (self.is_lossless, is_direct) {
            (false, _) => width.next_multiple_of(16) * height.next_multiple_of(16) * 3 / 2,
            (true, true) => lossless_memory(width, height),
            (true, false) => lossless_memory(width, height) + 4 * width * height,
        }
    }
}

/// Returns the memory of the subresolution images of a lossless frame, in bytes: predictor transform, color
/// transform and entropy image (RFC 9649, section 3). Each has at most a fourth of the width and height.
fn lossless_memory(width: u64, height: u64) -> u64 {
    14 * width.div_ceil(4) * height.div_ceil(4)
}

/// Returns the memory for an `ALPH` chunk, in bytes: one byte per pixel, and the buffers of the lossless decoder
/// if the channel is compressed (RFC 9649, section 2.7.1.2).
fn alpha_memory(
    file: &mut (impl Read + Seek),
    chunk: &Chunk,
    (width, height): (u64, u64),
) -> Result<u64, DecodeError> {
    seek(file, chunk.start)?;
    let [header] = read_array(file)?;
    let is_compressed = header & 3 != 0;
    let buffers = if is_compressed {
        4 * width * height + lossless_memory(width, height)
    } else {
        0
    };
    Ok(width * height + buffers)
}
