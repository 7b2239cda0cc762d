//! The `Orientation` tag of Exif metadata (CIPA DC-008), which is a TIFF image file directory (IFD).

use image::metadata::Orientation;

/// The tag `Orientation`.
const ORIENTATION: u64 = 0x0112;

/// Field types: unsigned integers of 16 and 32 bits.
const SHORT: u64 = 3;
const LONG: u64 = 4;

/// Returns the transformation that displays the image upright; `None` without a valid `Orientation` tag.
pub(super) fn orientation(exif: &[u8]) -> Option<Orientation> {
    // Some programs write the prefix of a JPEG's APP1 segment in other formats, too.
    let exif = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    let is_big_endian = match exif.get(..4)? {
        b"II*\0" => false,
        b"MM\0*" => true,
        _ => return None,
    };
    let number = |at: usize, size: usize| -> Option<u64> {
        let bytes = exif.get(at..at.checked_add(size)?)?;
        let add = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        Some(if is_big_endian {
            bytes.iter().fold(0, add)
        } else {
            bytes.iter().rev().fold(0, add)
        })
    };
    let ifd = usize::try_from(number(4, 4)?).ok()?;
    let count = usize::try_from(number(ifd, 2)?).ok()?;
    let mut entries = (0..count).map(|index| ifd.saturating_add(2 + 12 * index));
    let entry = entries.find(|entry| number(*entry, 2) == Some(ORIENTATION))?;
    if number(entry + 4, 4)? != 1 {
        return None;
    }
    // A value shorter than four bytes is left-aligned in the value field.
    let value = match number(entry + 2, 2)? {
        SHORT => number(entry + 8, 2)?,
        LONG => number(entry + 8, 4)?,
        _ => return None,
    };
    Orientation::from_exif(u8::try_from(value).ok()?)
}
