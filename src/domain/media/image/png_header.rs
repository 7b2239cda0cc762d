//! The chunks of a PNG before its image data.

use super::{ImageSource, decode::MAX_HEADER_MEMORY, error::DecodeError};

/// Reads the chunks before `IDAT`, except for text.
pub(super) fn read_info(file: &mut dyn ImageSource) -> Result<png::Info<'static>, DecodeError> {
    file.rewind()?;
    let limits = png::Limits {
        bytes: usize::try_from(MAX_HEADER_MEMORY).unwrap_or(usize::MAX),
    };
    let mut decoder = png::Decoder::new_with_limits(file, limits);
    decoder.set_ignore_text_chunk(true);
    let reader = decoder.read_info().map_err(DecodeError::corrupt)?;
    Ok(reader.info().clone())
}
