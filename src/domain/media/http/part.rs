//! The head of a form's part (RFC 7578, section 4), which decides whether its content is read.

use http::{HeaderMap, header};

use crate::core::error::{Error, Kind, Result};

/// The head of a part.
pub(super) struct PartHead {
    pub(super) name: String,
    pub(super) file: FileName,
}

/// Whether a part is a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileName {
    /// It is a text.
    Absent,
    /// An empty name, as browsers send it where no file was chosen.
    Empty,
    Given,
}

impl PartHead {
    /// Errors: a part without a name is a 422; one in an encoding other than UTF-8 is a 415.
    pub(super) fn of(headers: &HeaderMap) -> Result<PartHead> {
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
        // Some programs send only the form of RFC 8187 for a name that is not ASCII.
        let file = match (find("filename"), find("filename*")) {
            (None, None) => FileName::Absent,
            (Some((_, name)), None) if name.is_empty() => FileName::Empty,
            (None, Some((_, name))) if is_empty(name) => FileName::Empty,
            _ => FileName::Given,
        };
        let head = PartHead {
            name: unescaped(name),
            file,
        };
        if file == FileName::Absent {
            let kind = parameters(&text(header::CONTENT_TYPE).unwrap_or_default());
            let charset = kind.iter().find(|(name, _)| name == "charset");
            if charset.is_some_and(|(_, charset)| !is_utf8(charset)) {
                return Err(head.unsupported("must be in UTF-8"));
            }
        }
        // RFC 7578, section 4.7: no longer sent, and a file would not be what it seems.
        if let Some(encoding) = text(header::HeaderName::from_static("content-transfer-encoding"))
            && !["7bit", "8bit", "binary"].contains(&encoding.trim().to_lowercase().as_str())
        {
            return Err(head.unsupported("must be sent without a `Content-Transfer-Encoding`"));
        }
        Ok(head)
    }

    fn unsupported(&self, why: &str) -> Error {
        Error::new(Kind::UnsupportedMediaType, format!("`{}` {why}", self.name))
    }
}

/// Whether texts in this encoding are UTF-8.
pub(super) fn is_utf8(charset: &str) -> bool {
    let known = ["utf-8", "utf8", "us-ascii"];
    known
        .iter()
        .any(|known| charset.eq_ignore_ascii_case(known))
}

/// Browsers escape these three in a name (HTML, multipart/form-data encoding algorithm).
fn unescaped(name: &str) -> String {
    name.replace("%22", "\"")
        .replace("%0D", "\r")
        .replace("%0A", "\n")
}

/// The parameters of a header, their names in small letters.
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
            unquoted(quoted)
        } else {
            let end = value.find(';').unwrap_or(value.len());
            (value[..end].trim_end().to_owned(), &value[end..])
        };
        found.push((name, text));
    }
    found
}

/// The text up to the closing quote, and what is behind it. A backslash escapes only a quote: Windows paths
/// contain others. At the end of a text, it is part of a path, too.
fn unquoted(quoted: &str) -> (String, &str) {
    let mut text = String::new();
    let mut rest = quoted;
    while let Some(at) = rest.find('"') {
        let (before, behind) = (&rest[..at], &rest[at + 1..]);
        let is_end = behind.trim_start().is_empty() || behind.trim_start().starts_with(';');
        match before.strip_suffix('\\') {
            Some(before) if !is_end => {
                text.push_str(before);
                text.push('"');
            }
            _ => {
                text.push_str(before);
                return (text, behind);
            }
        }
        rest = behind;
    }
    text.push_str(rest);
    (text, "")
}
