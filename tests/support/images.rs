//! Image files for tests, valid and invalid.

use image::{DynamicImage, ImageFormat, RgbImage};

/// A location that is only in an image's metadata.
pub(crate) const SECRET_LOCATION: &str = "28.6139N 77.2090E";

/// Returns an image file of this size; its content is deterministic.
pub(crate) fn test_image(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let pixels = RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([x.to_le_bytes()[0], y.to_le_bytes()[0], 200])
    });
    file(&pixels.into(), format)
}

/// Encodes an image. It uses a file, because an encoder into memory would be compiled within the tests, without
/// optimisation.
pub(crate) fn file(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().unwrap();
    image.save_with_format(file.path(), format).unwrap();
    std::fs::read(file.path()).unwrap()
}

/// Returns a small PNG.
pub(crate) fn png() -> Vec<u8> {
    test_image(6, 4, ImageFormat::Png)
}

/// Returns a PNG with a location in a text chunk.
pub(crate) fn png_with_location() -> Vec<u8> {
    let text = [b"Comment\0", SECRET_LOCATION.as_bytes()].concat();
    with_chunk(&chunk(*b"tEXt", &text))
}

/// Returns a PNG with another chunk after its header.
pub(crate) fn with_chunk(chunk: &[u8]) -> Vec<u8> {
    with_chunks(&png(), &[chunk.to_vec()])
}

/// Inserts chunks after the header of a PNG.
pub(crate) fn with_chunks(file: &[u8], chunks: &[Vec<u8>]) -> Vec<u8> {
    [&file[..HEADER_END], &chunks.concat(), &file[HEADER_END..]].concat()
}

/// Returns the types and contents of the chunks of a PNG.
pub(crate) fn chunks(file: &[u8]) -> Vec<([u8; 4], &[u8])> {
    let mut chunks = Vec::new();
    let mut rest = &file[8..];
    while let Some((length, chunk)) = rest.split_first_chunk() {
        let length = u32::from_be_bytes(*length) as usize;
        chunks.push((chunk[..4].try_into().unwrap(), &chunk[4..4 + length]));
        // The CRC follows.
        rest = &chunk[8 + length..];
    }
    chunks
}

/// Builds a chunk of a PNG (RFC 2083, section 3.2).
pub(crate) fn chunk(kind: [u8; 4], content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    let rest = [&kind[..], content].concat();
    [&length[..], &rest[..], &crc(&rest).to_be_bytes()[..]].concat()
}

/// Returns a JPEG like that of a phone: rotated (Exif orientation 6), with a location.
pub(crate) fn phone_jpeg(width: u32, height: u32) -> Vec<u8> {
    let entry = [0x12, 0x01, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0];
    let exif = [
        &b"Exif\0\0II*\0\x08\0\0\0\x01\0"[..],
        &entry[..],
        &[0; 4][..],
        SECRET_LOCATION.as_bytes(),
    ]
    .concat();
    let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
    let segment = [&[0xff, 0xe1][..], &length[..], &exif[..]].concat();
    let mut file = test_image(width, height, ImageFormat::Jpeg);
    file.splice(2..2, segment);
    file
}

/// Returns a small PNG that claims to have 40,000 × 40,000 pixels.
pub(crate) fn png_bomb() -> Vec<u8> {
    let mut file = png();
    let side = 40_000_u32.to_be_bytes();
    file[16..20].copy_from_slice(&side);
    file[20..24].copy_from_slice(&side);
    let checksum = crc(&file[12..29]).to_be_bytes();
    file[29..HEADER_END].copy_from_slice(&checksum);
    file
}

/// The end of the signature and the IHDR chunk of a PNG.
const HEADER_END: usize = 33;

/// Returns the CRC-32 of a PNG chunk (RFC 2083, section 15).
fn crc(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 * (crc & 1))
        })
    };
    !bytes.iter().fold(!0, step)
}
