//! Builds files that the test's encoders cannot write: progressive JPEG, interlaced PNG, and WebP files whose
//! headers claim more than they contain.

use std::io::Write;

use crate::support::images::chunk;

/// A grey progressive JPEG without subsampling (ITU-T T.81).
pub(super) fn progressive_jpeg(width: u16, height: u16) -> Vec<u8> {
    let mut file = vec![0xff, 0xd8];
    // One quantization table of ones.
    file.extend([0xff, 0xdb, 0, 67, 0]);
    file.extend([1; 64]);
    file.extend([0xff, 0xc2, 0, 17, 8]);
    file.extend(height.to_be_bytes());
    file.extend(width.to_be_bytes());
    file.extend([3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0]);
    // A Huffman table with one code of one bit: a DC difference of 0.
    file.extend([0xff, 0xc4, 0, 20, 0, 1]);
    file.extend([0; 16]);
    // One scan of the DC coefficients of all components.
    file.extend([0xff, 0xda, 0, 12, 3, 1, 0, 2, 0, 3, 0, 0, 0, 0]);
    let blocks = usize::from(width.div_ceil(8)) * usize::from(height.div_ceil(8));
    file.extend(vec![0; (3 * blocks).div_ceil(8)]);
    file.extend([0xff, 0xd9]);
    file
}

/// A black interlaced RGB PNG (Adam7; RFC 2083, section 2.6).
pub(super) fn interlaced_png(width: u32, height: u32) -> Vec<u8> {
    const PASSES: [(u32, u32, u32, u32); 7] = [
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ];
    let size: u32 = PASSES
        .iter()
        .map(|(x, y, x_step, y_step)| {
            (1 + 3 * (width - x).div_ceil(*x_step)) * (height - y).div_ceil(*y_step)
        })
        .sum();
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![0; size as usize]).unwrap();
    let header = [
        &width.to_be_bytes()[..],
        &height.to_be_bytes(),
        &[8, 2, 0, 0, 1],
    ]
    .concat();
    [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        chunk(*b"IHDR", &header),
        chunk(*b"IDAT", &encoder.finish().unwrap()),
        chunk(*b"IEND", &[]),
    ]
    .concat()
}

/// A WebP container (RFC 9649) with these chunks.
pub(super) fn webp(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut body = b"WEBP".to_vec();
    for (name, content) in chunks {
        body.extend(*name);
        body.extend(u32::try_from(content.len()).unwrap().to_le_bytes());
        body.extend(*content);
        body.extend(vec![0; content.len() % 2]);
    }
    let size = u32::try_from(body.len()).unwrap().to_le_bytes();
    [&b"RIFF"[..], &size, &body].concat()
}

/// The header of a lossy frame, followed by zeros instead of image data (RFC 6386, section 9.1).
fn lossy_frame(width: u16, height: u16) -> Vec<u8> {
    let mut frame = vec![0x10, 0, 0, 0x9d, 0x01, 0x2a];
    frame.extend(width.to_le_bytes());
    frame.extend(height.to_le_bytes());
    frame.extend([0; 1900]);
    frame
}

/// A lossy WebP of 2 kB that claims a size but has no image data.
pub(super) fn webp_without_data(width: u16, height: u16) -> Vec<u8> {
    webp(&[(b"VP8 ", &lossy_frame(width, height))])
}

/// A WebP with a canvas of 9 × 9 pixels and a frame of 16,383 × 16,383.
pub(super) fn webp_with_a_larger_frame() -> Vec<u8> {
    let canvas = [0, 0, 0, 0, 8, 0, 0, 8, 0, 0];
    webp(&[(b"VP8X", &canvas), (b"VP8 ", &lossy_frame(0x3fff, 0x3fff))])
}

/// A WebP whose Exif chunk claims a size of 4 GB.
pub(super) fn webp_with_endless_metadata() -> Vec<u8> {
    let canvas = [8, 0, 0, 0, 8, 0, 0, 8, 0, 0];
    let mut file = webp(&[
        (b"VP8X", &canvas),
        (b"VP8 ", &lossy_frame(9, 9)),
        (b"EXIF", &[0; 64]),
    ]);
    let length = file.len() - 68;
    file[length..length + 4].copy_from_slice(&0xffff_fff0_u32.to_le_bytes());
    file
}

/// A lossless WebP of 4 × 4 pixels with 65,536 sets of five Huffman codes of ten bits each.
pub(super) fn webp_of_huffman_codes() -> Vec<u8> {
    let mut bits = BitWriter::default();
    bits.push(0x2f, 8);
    bits.push(3, 14);
    bits.push(3, 14);
    // No alpha, version 0, no transform, no color cache; meta prefix codes for blocks of 4 × 4 pixels.
    bits.push(0, 4);
    bits.push(0, 2);
    bits.push(1, 1);
    bits.push(0, 3);
    // The entropy image: the only block uses prefix code group 65,535. No color cache, five codes of one symbol.
    bits.push(0, 1);
    for symbol in [255, 255, 0, 0, 0] {
        bits.push(0b101, 3);
        bits.push(symbol, 8);
    }
    for _ in 0..65_536 * 5 {
        bits.long_code();
    }
    webp(&[(b"VP8L", &bits.bytes)])
}

/// Writes bits, the least significant bit of a byte first.
#[derive(Default)]
struct BitWriter {
    bytes: Vec<u8>,
    pending: u64,
    count: u32,
}

impl BitWriter {
    fn push(&mut self, value: u64, count: u32) {
        self.pending |= value << self.count;
        self.count += count;
        while self.count >= 8 {
            self.bytes.push(self.pending.to_le_bytes()[0]);
            self.pending >>= 8;
            self.count -= 8;
        }
    }

    /// Writes a prefix code with code lengths of 1 to 9 bits, and two of 10.
    fn long_code(&mut self) {
        self.push(0, 1);
        // Fourteen code length code lengths (RFC 9649, section 3): three bits for the lengths 1 to 6, four
        // bits for 7 to 10.
        self.push(10, 4);
        for length in [0, 0, 0, 3, 3, 3, 3, 3, 0, 3, 4, 4, 4, 4] {
            self.push(length, 3);
        }
        // The code has eleven symbols.
        self.push(1, 1);
        self.push(1, 3);
        self.push(9, 4);
        for symbol in (1..=10).chain([10]) {
            let (code, length) = if symbol <= 6 {
                (symbol - 1, 3)
            } else {
                (12 + symbol - 7, 4)
            };
            // Codes start with their most significant bit.
            for bit in (0..length).rev() {
                self.push((code >> bit) & 1, 1);
            }
        }
    }
}
