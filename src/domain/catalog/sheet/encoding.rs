//! How a file is written: its encoding, and what separates its cells.

/// Returns the file without its byte order mark.
///
/// Errors if it is no UTF-8 as a whole. Single cells in another encoding are found where they are read.
pub(super) fn text(file: &[u8]) -> Result<&[u8], &'static str> {
    match file {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, ..] | [_, 0, ..] => Err(
            "the file is UTF-16; save it as CSV in UTF-8 (in Excel: `CSV UTF-8 (Comma delimited)`)",
        ),
        [b'P', b'K', 3, 4, ..] => Err(
            "the file is a workbook; save it as CSV in UTF-8 (in Excel: `CSV UTF-8 (Comma delimited)`)",
        ),
        text => Ok(text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)),
    }
}

/// Returns what separates the cells: the first of the two characters in the file, since no column's name
/// holds either. Excel writes semicolons where a comma separates decimals.
pub(super) fn delimiter(text: &[u8]) -> u8 {
    let mut bytes = text.iter().copied();
    bytes
        .find(|byte| matches!(byte, b',' | b';'))
        .unwrap_or(b',')
}
