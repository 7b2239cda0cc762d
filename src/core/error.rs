//! The error type: a [`Kind`], a `detail` for the client, and a `source` for the log.
//!
//! Errors are independent of HTTP; `web::respond` maps each kind to a status code.

use std::{borrow::Cow, error::Error as StdError, fmt, time::Duration};

use serde::Serialize;
use utoipa::ToSchema;

use crate::core::id::{ProductId, VariantId};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kind of an error. The `&'static str` of a variant is the stable problem `code`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The body is not JSON (RFC 8259).
    MalformedJson,
    /// A query parameter is unknown or invalid.
    InvalidQuery,
    /// A header is invalid.
    InvalidHeader,
    /// A one-time code or link token is wrong or expired.
    BadRequest(&'static str),
    /// Authentication failed: missing or invalid token, credentials or signature.
    Unauthorized(&'static str),
    /// The authenticated user lacks the permission.
    Forbidden,
    /// The resource does not exist or belongs to another user.
    NotFound,
    /// The resource has no such method. Only the router knows.
    MethodNotAllowed,
    /// The request took too long to arrive.
    RequestTimeout,
    /// The current state of the resource does not allow the operation.
    Conflict(&'static str),
    /// `If-Match` does not match the current version.
    PreconditionFailed,
    /// The operation requires `If-Match` (RFC 6585).
    PreconditionRequired,
    TooLarge,
    UnsupportedMediaType,
    /// The body has a `Content-Encoding`, which is not supported.
    UnsupportedContentEncoding,
    /// Well-formed, but a value is invalid.
    Invalid(&'static str),
    TooManyRequests {
        retry_after: Duration,
    },
    /// A bug or a hardware failure. The client sees a generic text; the cause is only logged.
    Internal,
    /// Busy, stopping, or a dependency is down. The client may retry.
    Unavailable,
    /// The disk is full.
    StorageFull,
    /// A flag or a setting is wrong (exit code 2). Only start-up and the command line return it; a retry does
    /// not help.
    Config,
    /// An operator's command cannot do what it was asked (exit code 1), and a retry does not help. Only the
    /// command line returns it.
    CommandFailed,
}

impl Kind {
    /// Returns the stable problem code.
    pub fn code(self) -> &'static str {
        match self {
            Kind::MalformedJson => "malformed-json",
            Kind::InvalidQuery => "invalid-query",
            Kind::InvalidHeader => "invalid-header",
            Kind::BadRequest(code)
            | Kind::Unauthorized(code)
            | Kind::Conflict(code)
            | Kind::Invalid(code) => code,
            Kind::Forbidden => "forbidden",
            Kind::NotFound => "not-found",
            Kind::MethodNotAllowed => "method-not-allowed",
            Kind::RequestTimeout => "request-timeout",
            Kind::PreconditionFailed => "precondition-failed",
            Kind::PreconditionRequired => "precondition-required",
            Kind::TooLarge => "payload-too-large",
            Kind::UnsupportedMediaType | Kind::UnsupportedContentEncoding => {
                "unsupported-media-type"
            }
            Kind::TooManyRequests { .. } => "too-many-requests",
            // No response has the kinds of the command line.
            Kind::Internal | Kind::Config | Kind::CommandFailed => "internal",
            Kind::Unavailable => "unavailable",
            Kind::StorageFull => "storage-full",
        }
    }
}

/// A validation error of one field or line item of the request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = FieldProblem)]
pub struct Field {
    /// The path of the field, e.g. `items[0].quantity`.
    pub field: String,
    /// A stable code in kebab-case.
    #[schema(pattern = "^[a-z]+(-[a-z]+)*$")]
    pub code: Cow<'static, str>,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub product_id: Option<ProductId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub variant_id: Option<VariantId>,
    /// The requested quantity.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub requested: Option<i64>,
    /// The available quantity.
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

/// An error: its kind, the text for the client, and the cause for the log.
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

    /// Returns a [`Kind::NotFound`] error for a resource, e.g. `product`.
    pub fn not_found(resource: &str) -> Self {
        Error::new(Kind::NotFound, format!("{resource} not found"))
    }

    pub fn unauthorized(detail: impl Into<Cow<'static, str>>) -> Self {
        Error::new(Kind::Unauthorized("unauthorized"), detail)
    }

    pub fn unavailable(detail: impl Into<Cow<'static, str>>) -> Self {
        Error::new(Kind::Unavailable, detail)
    }

    /// Returns a [`Kind::Config`] error; `detail` names the flag or setting and its valid values.
    pub fn config(detail: impl Into<Cow<'static, str>>) -> Self {
        Error::new(Kind::Config, detail)
    }

    /// Returns a [`Kind::CommandFailed`] error; `detail` says why, and what the operator can do.
    pub fn command_failed(detail: impl Into<Cow<'static, str>>) -> Self {
        Error::new(Kind::CommandFailed, detail)
    }

    /// Returns a [`Kind::Internal`] error. `source` is logged and never sent to the client.
    pub fn internal(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Error::new(Kind::Internal, "something went wrong on our side").caused_by(source)
    }

    /// Returns a validation error of one field.
    pub fn field(
        field: impl Into<String>,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Error::invalid(vec![Field::new(field, code, message)])
    }

    /// Returns a validation error of several fields; `fields` must not be empty.
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

    /// Errors: a validation error if there are any errors of fields.
    pub fn unless_empty(fields: Vec<Field>) -> Result<()> {
        if fields.is_empty() {
            Ok(())
        } else {
            Err(Error::invalid(fields))
        }
    }

    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Returns a copy of kind and detail, without fields and source, to answer several callers with one
    /// error.
    #[must_use]
    pub fn without_source(&self) -> Self {
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

/// Returns the innermost cause of an error, e.g. `Connection refused`.
pub fn root_cause<'a>(error: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause
}

/// Returns an error with its causes for the log, e.g. `cannot open the database: disk I/O error`.
pub fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl fmt::Display + use<'a> {
    Chain(error)
}

struct Chain<'a>(&'a (dyn StdError + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = self.0.downcast_ref::<Error>();
        let is_generic = own.is_some_and(|own| own.kind() == Kind::Internal);
        // The text of an internal error is for the client and says nothing.
        let first = match self.0.source() {
            Some(cause) if is_generic => cause,
            _ => self.0,
        };
        let mut written = String::new();
        let mut next = Some(first);
        while let Some(error) = next {
            next = error.source();
            let text = error.to_string();
            // Many texts contain that of their cause.
            if written.contains(&text) {
                continue;
            }
            if !written.is_empty() {
                written.push_str(": ");
            }
            written.push_str(&text);
        }
        f.write_str(&written)
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
