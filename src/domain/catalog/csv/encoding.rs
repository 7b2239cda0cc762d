//! Detects a file's encoding and cell delimiter.

/// Returns the file without its byte order mark.
///
/// Errors if the file is UTF-16 or a workbook. Invalid UTF-8 is reported per cell by the row parser.
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

/// Returns the first comma or semicolon of the file; no column name contains either. Excel writes semicolons
/// in locales with a decimal comma.
pub(super) fn delimiter(text: &[u8]) -> u8 {
    let mut bytes = text.iter().copied();
    bytes
        .find(|byte| matches!(byte, b',' | b';'))
        .unwrap_or(b',')
}
