//! Finds requests whose length is ambiguous (RFC 9112, section 6.1). hyper drops one of the two headers
//! before a service sees the request, so the bytes of the head are scanned on their way to it.

/// The names that matter end within so many bytes.
const NAME_LEN: usize = "transfer-encoding:".len();

/// Scans the head of one request, in pieces.
#[derive(Debug, Default)]
pub(super) struct HeadScan {
    /// How the current line begins, in small letters.
    line: [u8; NAME_LEN],
    line_len: usize,
    content_lengths: u32,
    has_transfer_encoding: bool,
    has_begun: bool,
    is_complete: bool,
    size: usize,
}

impl HeadScan {
    /// Takes the next bytes of the connection. Bytes behind the head are ignored.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        if self.is_complete {
            return;
        }
        self.size += bytes.len();
        for byte in bytes {
            match byte {
                b'\r' => {}
                // Empty lines before a request are allowed (RFC 9112, section 2.2).
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
                    if let Some(place) = self.line.get_mut(self.line_len) {
                        *place = byte.to_ascii_lowercase();
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

    /// Whether the head names more than one length.
    pub(super) fn is_ambiguous(&self) -> bool {
        self.content_lengths + u32::from(self.has_transfer_encoding) > 1
    }

    /// How many bytes were read while the head was incomplete.
    pub(super) fn size(&self) -> usize {
        self.size
    }
}
