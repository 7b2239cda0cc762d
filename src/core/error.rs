//! What can go wrong, in words. It knows no status code: `web::respond` alone turns a kind into one.

use std::{borrow::Cow, error::Error as StdError, fmt, time::Duration};

use serde::Serialize;
use utoipa::ToSchema;

use crate::core::id::ProductId;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kinds of failure. A kind that carries a word carries the problem's stable `code`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The body is not JSON (RFC 8259).
    MalformedJson,
    /// A query parameter is unknown or has no sense.
    InvalidQuery,
    /// A header has no sense.
    InvalidHeader,
    /// What was sent in proof does not serve.
    Refused(&'static str),
    /// Who is asking is not known: no token, a wrong one, wrong credentials, a wrong signature.
    Unauthorized(&'static str),
    /// Who is asking is known and may not.
    Forbidden,
    /// It is not there, or not the asker's.
    NotFound,
    /// The request took longer to arrive than is allowed.
    TooSlow,
    /// The state of the shop does not allow it.
    Conflict(&'static str),
    /// `If-Match` names another version.
    PreconditionFailed,
    /// `If-Match` is required here (RFC 6585).
    PreconditionRequired,
    TooLarge,
    UnsupportedMediaType,
    /// The body is compressed.
    UnsupportedCoding,
    /// Understood, and wrong in itself.
    Invalid(&'static str),
    TooManyRequests {
        retry_after: Duration,
    },
    /// A defect, or a machine that failed. The client reads nothing of the cause.
    Internal,
    /// Busy, stopping, or something outside is down; worth another try.
    Unavailable,
    /// The disk is full.
    StorageFull,
    /// A flag or a setting is wrong. Only the program's start and the command line give it; another
    /// try does not help.
    Config,
}

/// One cause that belongs to a field or to a line of the request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = FieldProblem)]
pub struct Field {
    /// The path of the field, as `items[0].quantity`.
    pub field: String,
    /// Stable and kebab-case.
    #[schema(pattern = "^[a-z]+(-[a-z]+)*$")]
    pub code: Cow<'static, str>,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub product_id: Option<ProductId>,
    /// How many were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub requested: Option<i64>,
    /// How many there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub available: Option<i64>,
}

impl Field {
    pub fn new(
        field: impl Into<String>,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Field {
            field: field.into(),
            code: code.into(),
            message: message.into(),
            ..Field::default()
        }
    }
}

/// A failure: its kind, what the client reads, and what only the log keeps.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    detail: Cow<'static, str>,
    fields: Vec<Field>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    pub fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        Error(Box::new(Inner {
            kind,
            detail: detail.into(),
            fields: Vec::new(),
            source: None,
        }))
    }

    pub fn not_found(what: &str) -> Self {
        Error::new(Kind::NotFound, format!("there is no such {what}"))
    }

    pub fn conflict(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Error::new(Kind::Conflict(code), detail)
    }

    pub fn unauthorized(detail: impl Into<Cow<'static, str>>) -> Self {
        Error::new(Kind::Unauthorized("unauthorized"), detail)
    }

    pub fn unavailable(detail: impl Into<Cow<'static, str>>) -> Self {
        Error::new(Kind::Unavailable, detail)
    }

    /// A flag or a setting is wrong; `detail` names it and what it must be.
    pub fn config(detail: impl Into<Cow<'static, str>>) -> Self {
        Error::new(Kind::Config, detail)
    }

    /// A defect or a machine's failure: `source` is for the log and never goes out.
    pub fn internal(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Error::new(Kind::Internal, "something went wrong on our side").caused_by(source)
    }

    /// One field is wrong.
    pub fn field(
        field: impl Into<String>,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Error::invalid(vec![Field::new(field, code, message)])
    }

    /// Some fields are wrong; `fields` must not be empty.
    pub fn invalid(fields: Vec<Field>) -> Self {
        let detail = fields
            .iter()
            .map(|f| format!("`{}`: {}", f.field, f.message))
            .collect::<Vec<_>>()
            .join("; ");
        Error::new(Kind::Invalid("validation-failed"), detail).with_fields(fields)
    }

    #[must_use]
    pub fn with_fields(mut self, fields: Vec<Field>) -> Self {
        self.0.fields = fields;
        self
    }

    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The same for one more who asked; what only the log keeps stays with this one.
    #[must_use]
    pub fn retold(&self) -> Self {
        Error::new(self.kind(), self.0.detail.clone())
    }

    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The text for the client.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    pub fn fields(&self) -> &[Field] {
        &self.0.fields
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.detail)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("detail", &self.0.detail)
            .field("fields", &self.0.fields)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
