//! The headers of a part of `multipart/form-data` (RFC 7578, section 4). They decide whether its content is
//! read.

use http::{HeaderMap, header};

use crate::core::error::{Error, Kind, Result};

/// The parsed headers of a part.
pub(super) struct PartHeaders {
    pub(super) name: String,
    pub(super) file_name: FileName,
}

/// The `filename` parameter of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileName {
    /// The part is text.
    Absent,
    /// Browsers send an empty name if the user chose no file.
    Empty,
    Present,
}

impl PartHeaders {
    /// Parses the headers of a part.
    ///
    /// Errors: `malformed-form` without a name; `unsupported-media-type` if the text is not in UTF-8 or the
    /// part has a transfer encoding.
    pub(super) fn parse(headers: &HeaderMap) -> Result<PartHeaders> {
        let text = |name| {
            headers
                .get(name)
                .map(|value| String::from_utf8_lossy(value.as_bytes()))
        };
        let disposition = parameters(&text(header::CONTENT_DISPOSITION).unwrap_or_default());
        let find = |name: &str| disposition.iter().find(|(known, _)| known == name);
        let Some((_, name)) = find("name") else {
            let detail = "each part of the form needs `Content-Disposition: form-data; name=\"…\"`";
            return Err(Error::field("body", "malformed-form", detail));
        };
        let is_empty = |name: &str| name.is_empty() || name.ends_with("''");
        // Some clients send a non-ASCII name only in the extended notation of RFC 8187.
        let file_name = match (find("filename"), find("filename*")) {
            (None, None) => FileName::Absent,
            (Some((_, name)), None) if name.is_empty() => FileName::Empty,
            (None, Some((_, name))) if is_empty(name) => FileName::Empty,
            _ => FileName::Present,
        };
        let part = PartHeaders {
            name: unescape(name),
            file_name,
        };
        if file_name == FileName::Absent {
            let content_type = parameters(&text(header::CONTENT_TYPE).unwrap_or_default());
            let charset = content_type.iter().find(|(name, _)| name == "charset");
            if charset.is_some_and(|(_, charset)| !is_utf8(charset)) {
                return Err(part.unsupported("must be in UTF-8"));
            }
        }
        // Deprecated by RFC 7578, section 4.7. The content of the part would need decoding.
        if let Some(encoding) = text(header::HeaderName::from_static("content-transfer-encoding"))
            && !["7bit", "8bit", "binary"].contains(&encoding.trim().to_lowercase().as_str())
        {
            return Err(part.unsupported("must be sent without a `Content-Transfer-Encoding`"));
        }
        Ok(part)
    }

    fn unsupported(&self, why: &str) -> Error {
        Error::new(Kind::UnsupportedMediaType, format!("`{}` {why}", self.name))
    }
}

/// Returns whether this charset is UTF-8 or a subset of it.
pub(super) fn is_utf8(charset: &str) -> bool {
    let known = ["utf-8", "utf8", "us-ascii"];
    known
        .iter()
        .any(|known| charset.eq_ignore_ascii_case(known))
}

/// Reverts the escapes of a field name (HTML standard, multipart/form-data encoding algorithm).
fn unescape(name: &str) -> String {
    name.replace("%22", "\"")
        .replace("%0D", "\r")
        .replace("%0A", "\n")
}

/// Parses the parameters of a header value. Returns their names in lower case, and their values.
fn parameters(value: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = value;
    while let Some((_, after)) = rest.split_once(';') {
        let Some((name, value)) = after.split_once('=') else {
            break;
        };
        let name = name.trim().to_lowercase();
        let value = value.trim_start();
        let text;
        (text, rest) = if let Some(quoted) = value.strip_prefix('"') {
            parse_quoted(quoted)
        } else {
            let end = value.find(';').unwrap_or(value.len());
            (value[..end].trim_end().to_owned(), &value[end..])
        };
        found.push((name, text));
    }
    found
}

/// Parses a quoted string after its opening quote. Returns its content and the rest of the input.
///
/// A backslash escapes nothing but a quote, because Windows paths contain backslashes. A backslash before the
/// closing quote belongs to the content.
fn parse_quoted(quoted: &str) -> (String, &str) {
    let mut text = String::new();
    let mut rest = quoted;
    while let Some(at) = rest.find('"') {
        let (before, after) = (&rest[..at], &rest[at + 1..]);
        let is_end = after.trim_start().is_empty() || after.trim_start().starts_with(';');
        match before.strip_suffix('\\') {
            Some(before) if !is_end => {
                text.push_str(before);
                text.push('"');
            }
            _ => {
                text.push_str(before);
                return (text, after);
            }
        }
        rest = after;
    }
    text.push_str(rest);
    (text, "")
}
