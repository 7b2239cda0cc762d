//! Multipart forms.

/// A `multipart/form-data` body (RFC 7578).
#[derive(Debug, Clone, Default)]
pub(crate) struct Form(Vec<u8>);

impl Form {
    pub(crate) const CONTENT_TYPE: &str = "multipart/form-data; boundary=between-parts";

    pub(crate) fn text(self, name: &str, value: &str) -> Form {
        self.part(&format!("name=\"{name}\""), value.as_bytes())
    }

    /// Adds a file to the field `images`, with a misleading name and type.
    pub(crate) fn image(self, file: &[u8]) -> Form {
        let claims = "name=\"images\"; filename=\"../../a.txt\"\r\ncontent-type: text/plain";
        self.part(claims, file)
    }

    /// Adds a part with these `Content-Disposition` parameters.
    pub(crate) fn part(mut self, claims: &str, content: &[u8]) -> Form {
        let head = format!("--between-parts\r\ncontent-disposition: form-data; {claims}\r\n\r\n");
        self.0.extend_from_slice(head.as_bytes());
        self.0.extend_from_slice(content);
        self.0.extend_from_slice(b"\r\n");
        self
    }

    pub(crate) fn body(mut self) -> Vec<u8> {
        self.0.extend_from_slice(b"--between-parts--\r\n");
        self.0
    }
}
