//! Problem types (RFC 9457): the errors that an API client can get, and how to resolve them.

use std::borrow::Cow;

use crate::core::error::{Error, Kind};

/// One problem type. Clients rely on its code and status; the texts may change.
#[derive(Debug, Clone, Copy)]
pub struct ProblemType {
    /// Determines the code and the status.
    pub kind: Kind,
    pub title: &'static str,
    /// How the client can resolve it. Also the `detail` of a problem that has none of its own.
    pub remedy: &'static str,
}

impl ProblemType {
    pub const fn new(kind: Kind, title: &'static str, remedy: &'static str) -> ProblemType {
        ProblemType {
            kind,
            title,
            remedy,
        }
    }

    /// Returns the stable code.
    pub fn code(&self) -> &'static str {
        self.kind.code()
    }

    /// Returns an error of this type.
    pub fn error(&self, detail: impl Into<Cow<'static, str>>) -> Error {
        Error::new(self.kind, detail)
    }
}
