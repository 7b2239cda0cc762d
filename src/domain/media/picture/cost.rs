//! How much memory a picture takes, computed from its header before anything is decoded.
//!
//! The figures are those of the decoders behind the `image` crate (zune-jpeg, png, image-webp, gif): none
//! of them limits its own working memory.

use std::io::{self, Error, ErrorKind, Read, Seek, SeekFrom};

use image::ImageFormat;

use super::{Refusal, jpeg};

/// The most memory that one picture may take at a time, in bytes: pixels, working memory, a second buffer
/// for turning, the encoder's buffers. One is decoded at a time in a process.
pub(super) const BUDGET: u64 = 96 * 1024 * 1024;

/// The working memory of a decoder beside the pixels it writes, in bytes. `size` is the length of the file.
pub(super) fn working_memory(
    file: &mut (impl Read + Seek),
    format: ImageFormat,
    size: u64,
) -> Result<u64, Refusal> {
    match format {
        // The decoder holds the file.
        ImageFormat::Jpeg => Ok(size + jpeg::coefficients(file)?),
        // The decoder copies parts of the file up to two times.
        ImageFormat::WebP => Ok(2 * size + webp(file, size)?),
        // Both work row by row; a GIF's frame beside its screen is limited as it is allocated.
        _ => Ok(0),
    }
}

/// The working memory of the WebP decoder (RFC 9649). Frames inside the container have sizes of their own,
/// and chunks lengths of their own: what does not fit the canvas or the file is refused. So is a second frame.
fn webp(file: &mut (impl Read + Seek), end: u64) -> Result<u64, Refusal> {
    file.rewind()?;
    let riff: [u8; 12] = take(file)?;
    if &riff[..4] != b"RIFF" || &riff[8..] != b"WEBP" {
        return Err(Refusal::broken("a WebP begins with RIFF and WEBP"));
    }
    let first = Chunk::read(file, 12, end)?;
    if &first.name != b"VP8X" {
        return Frame::read(file, &first, end)?
            .ok_or_else(|| Refusal::broken("a WebP without a picture"))
            .map(|frame| frame.memory(frame.has_alpha));
    }
    seek(file, first.start)?;
    let [flags, _, _, _, w0, w1, w2, h0, h1, h2] = take(file)?;
    let has_alpha = flags & 0x10 != 0;
    let side = |bytes| u64::from(u32::from_le_bytes(bytes)) + 1;
    let canvas = (side([w0, w1, w2, 0]), side([h0, h1, h2, 0]));
    // The decoder looks for chunks no further.
    let [_, _, _, _, riff_size @ .., _, _, _, _] = riff;
    let end = end.min(u64::from(u32::from_le_bytes(riff_size)) + 18);
    let mut memory = 0;
    let mut frames = 0;
    let mut chunk = first;
    while let Some(next) = chunk.next(file, end)? {
        // A frame of an animation is pixels of its own beside the canvas.
        let (inner, is_animated) = if &next.name == b"ANMF" {
            frames += 1;
            if frames > 1 {
                return Err(Refusal::Animated);
            }
            let within = next.end().min(end);
            let mut inner = vec![Chunk::read(file, next.start + 16, within)?];
            inner.extend(inner[0].next(file, within)?);
            (inner, true)
        } else {
            (vec![Chunk { ..next }], false)
        };
        let mut frame = 0;
        for chunk in &inner {
            if &chunk.name == b"ALPH" {
                frame += alpha(file, chunk, canvas)?;
            } else if let Some(picture) = Frame::read(file, chunk, end)? {
                if picture.width > canvas.0 || picture.height > canvas.1 {
                    return Err(Refusal::broken(
                        "a frame of the WebP is larger than its canvas",
                    ));
                }
                frame += picture.memory(has_alpha && !is_animated);
                if is_animated {
                    // The canvas, and the pixels of the frame, which a lossless one has counted.
                    let buffers = if picture.is_lossless { 1 } else { 2 };
                    frame += buffers * 4 * canvas.0 * canvas.1;
                }
            }
        }
        memory += frame;
        chunk = next;
    }
    Ok(memory)
}

/// A chunk of a RIFF file.
struct Chunk {
    name: [u8; 4],
    /// Where its content begins, and how long that is.
    start: u64,
    length: u64,
}

impl Chunk {
    /// The chunk whose header stands at `position`; its content must end before `end`.
    fn read(file: &mut (impl Read + Seek), position: u64, end: u64) -> Result<Chunk, Refusal> {
        seek(file, position)?;
        let chunk = Chunk {
            name: take(file)?,
            start: position + 8,
            length: u32::from_le_bytes(take(file)?).into(),
        };
        if chunk.start + chunk.length > end {
            return Err(Refusal::broken(
                "a chunk of the WebP reaches beyond its end",
            ));
        }
        Ok(chunk)
    }

    fn end(&self) -> u64 {
        self.start + self.length + self.length % 2
    }

    /// The chunk behind this one, if there is one before `end`.
    fn next(&self, file: &mut (impl Read + Seek), end: u64) -> Result<Option<Chunk>, Refusal> {
        if self.end() + 8 > end {
            return Ok(None);
        }
        Chunk::read(file, self.end(), end).map(Some)
    }
}

/// A coded picture inside a WebP.
struct Frame {
    is_lossless: bool,
    has_alpha: bool,
    width: u64,
    height: u64,
}

impl Frame {
    /// `None` where the chunk holds no picture.
    fn read(
        file: &mut (impl Read + Seek),
        chunk: &Chunk,
        end: u64,
    ) -> Result<Option<Frame>, Refusal> {
        if chunk.start + 10 > end {
            return Ok(None);
        }
        seek(file, chunk.start)?;
        let content: [u8; 10] = take(file)?;
        let frame = match &chunk.name {
            b"VP8 " => {
                let side =
                    |at| u64::from(u16::from_le_bytes([content[at], content[at + 1]]) & 0x3fff);
                Frame {
                    is_lossless: false,
                    has_alpha: false,
                    width: side(6),
                    height: side(8),
                }
            }
            b"VP8L" => {
                let sides = u32::from_le_bytes([content[1], content[2], content[3], content[4]]);
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

    /// Three planes of whole macroblocks; or what [`lossless`] takes, and pixels of four bytes unless they
    /// are decoded into the result.
    fn memory(&self, is_direct: bool) -> u64 {
        let (width, height) = (self.width, self.height);
        match (self.is_lossless, is_direct) {
            (false, _) => width.next_multiple_of(16) * height.next_multiple_of(16) * 3 / 2,
            (true, true) => lossless(width, height),
            (true, false) => lossless(width, height) + 4 * width * height,
        }
    }
}

/// Three images of a fourth of each side: two transforms and the choice of codes.
fn lossless(width: u64, height: u64) -> u64 {
    14 * width.div_ceil(4) * height.div_ceil(4)
}

/// Transparency apart from the colours: a byte for each pixel, and the buffers to decode it where it is
/// compressed.
fn alpha(
    file: &mut (impl Read + Seek),
    chunk: &Chunk,
    (width, height): (u64, u64),
) -> Result<u64, Refusal> {
    seek(file, chunk.start)?;
    let [header] = take(file)?;
    let is_compressed = header & 3 != 0;
    let buffers = if is_compressed {
        4 * width * height + lossless(width, height)
    } else {
        0
    };
    Ok(width * height + buffers)
}

/// Keeps what is buffered, where it can.
fn seek(file: &mut impl Seek, position: u64) -> io::Result<()> {
    let here = file.stream_position()?;
    file.seek_relative(position.wrapping_sub(here).cast_signed())
}

pub(super) fn take<const N: usize>(file: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// A file that can be read no further once the process has grown by more than the budget since decoding
/// began. A lossless WebP of 5 MiB can describe 1.3 GiB of Huffman tables, and no header tells how many.
pub(super) struct Watched<R> {
    file: R,
    /// In bytes; `None` where the system does not tell.
    before: Option<u64>,
}

impl<R> Watched<R> {
    pub(super) fn new(file: R) -> Watched<R> {
        let before = memory_of_process();
        Watched { file, before }
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let (Some(before), Some(now)) = (self.before, memory_of_process())
            && now.saturating_sub(before) > BUDGET
        {
            return Err(Error::from(ErrorKind::OutOfMemory));
        }
        self.file.read(buffer)
    }
}

impl<R: Seek> Seek for Watched<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// The memory of this process that no file backs, in bytes (Linux).
fn memory_of_process() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let (_, rest) = status.split_once("RssAnon:")?;
    let kib: u64 = rest.split_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}
