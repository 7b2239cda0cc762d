//! Detects requests whose length is ambiguous (RFC 9112, section 6.1). hyper drops one of the conflicting headers
//! before a service sees the request, so this module scans the bytes that hyper reads.

/// The length of the longer of the two header names.
const NAME_LEN: usize = "transfer-encoding:".len();

/// An incremental scanner of one request's head.
#[derive(Debug, Default)]
pub(super) struct HeadScan {
    /// The beginning of the current line, in lower case.
    line: [u8; NAME_LEN],
    line_len: usize,
    content_lengths: u32,
    has_transfer_encoding: bool,
    has_begun: bool,
    is_complete: bool,
    size: usize,
}

impl HeadScan {
    /// Scans the next bytes of the connection. Bytes after the head are ignored.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        if self.is_complete {
            return;
        }
        self.size += bytes.len();
        for byte in bytes {
            match byte {
                b'\r' => {}
                // Empty lines before the request line are ignored (RFC 9112, section 2.2).
                b'\n' if self.line_len == 0 && !self.has_begun => {}
                b'\n' if self.line_len == 0 => {
                    self.is_complete = true;
                    return;
                }
                b'\n' => {
                    self.end_line();
                    self.has_begun = true;
                }
                byte => {
                    if let Some(slot) = self.line.get_mut(self.line_len) {
                        *slot = byte.to_ascii_lowercase();
                        self.line_len += 1;
                    }
                }
            }
        }
    }

    fn end_line(&mut self) {
        let line = &self.line[..self.line_len];
        self.content_lengths += u32::from(line.starts_with(b"content-length:"));
        self.has_transfer_encoding |= line.starts_with(b"transfer-encoding:");
        self.line_len = 0;
    }

    /// Returns whether the head has more than one length.
    pub(super) fn is_ambiguous(&self) -> bool {
        self.content_lengths + u32::from(self.has_transfer_encoding) > 1
    }

    /// Returns the number of bytes scanned until the head was complete.
    pub(super) fn size(&self) -> usize {
        self.size
    }
}
