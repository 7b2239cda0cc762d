//! Parses JPEG files (ITU-T T.81) for two facts that the decoder does not report.
//!
//! - [`coefficient_memory`]: how much memory decoding takes, from the headers.
//! - [`check_complete`]: whether the file holds all image data. The decoder fills missing data with grey.
//!
//! The image data itself is not decoded. `entropy` reads the Huffman codes only to find the end of each block.

mod entropy;
mod frame;
mod huffman;
mod scan;

use std::io::{Read, Seek};

use self::frame::Frame;
pub(super) use self::scan::check_complete;
use super::{error::DecodeError, read_array};

// Marker codes (T.81, table B.1).
/// Start of frame: baseline DCT.
const SOF0: u8 = 0xc0;
/// Start of frame: progressive DCT.
const SOF2: u8 = 0xc2;
/// Define Huffman tables.
const DHT: u8 = 0xc4;
/// Restart with modulo 8 count `0` to `7`.
const RST0: u8 = 0xd0;
const RST7: u8 = 0xd7;
/// Start of image.
const SOI: u8 = 0xd8;
/// End of image.
const EOI: u8 = 0xd9;
/// Start of scan.
const SOS: u8 = 0xda;
/// Define restart interval.
const DRI: u8 = 0xdd;
/// For temporary use in arithmetic coding.
const TEM: u8 = 0x01;

/// The marker at the end of a file.
pub(super) const EOI_MARKER: [u8; 2] = [0xff, EOI];

/// Returns the size of the coefficient buffers that the decoder keeps for the whole image, in bytes. It needs
/// them unless the file is sequential and its first scan has all components.
pub(super) fn coefficient_memory(file: &mut (impl Read + Seek)) -> Result<u64, DecodeError> {
    let mut frame: Option<Frame> = None;
    file.rewind()?;
    if read_array(file)? != [0xff, SOI] {
        return Err(DecodeError::corrupt("a JPEG must start with SOI"));
    }
    loop {
        // Like the decoder, skip bytes between segments, and fill bytes before a marker.
        while read_array(file)? != [0xff] {}
        let mut marker = [0xff];
        while marker == [0xff] {
            marker = read_array(file)?;
        }
        let [marker] = marker;
        if marker == 0 {
            continue;
        }
        let length = u16::from_be_bytes(read_array(file)?);
        let mut remaining = length.checked_sub(2).ok_or_else(invalid_length)?;
        match marker {
            SOF0..=SOF2 if frame.is_none() => {
                let header = Frame::read(file, marker)?;
                remaining = remaining.saturating_sub(6 + 3 * u16::from(header.component_count()));
                frame = Some(header);
            }
            SOS => {
                let [components_in_scan] = read_array(file)?;
                let frame = frame.ok_or_else(no_frame)?;
                return Ok(frame.coefficient_memory(components_in_scan));
            }
            _ => {}
        }
        file.seek_relative(remaining.into())?;
    }
}

fn invalid_length() -> DecodeError {
    DecodeError::corrupt("a segment of the JPEG has an invalid length")
}

fn no_frame() -> DecodeError {
    DecodeError::corrupt("the JPEG has no frame header")
}

fn no_table() -> DecodeError {
    DecodeError::corrupt("the JPEG has no Huffman table for a scan")
}
