//! Extractors for JSON bodies, path parameters, bearer tokens and conditional requests. Their errors name
//! the field or the header.

use axum::extract::{FromRef, FromRequest, FromRequestParts, Request};
use bytes::Bytes;
use http::{HeaderMap, header, request::Parts};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use utoipa::PartialSchema;

pub use super::query::{NoQuery, Query, empty_is_set, one_of, parse_with, timestamp};
use super::{
    body::read_body,
    field_errors::with_all_fields,
    ignored_json::IgnoredJson,
    jwt::{AccessTokens, Claims},
    request_context,
};
use crate::core::error::{Error, Kind, Result};

/// The maximum size of a JSON body, in bytes.
pub const JSON_LIMIT: usize = 256 * 1024;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A JSON body.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned + PartialSchema, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Error;

    async fn from_request(request: Request, _: &S) -> Result<Self> {
        RawJson::required(request)
            .await
            .map(|body| Json(body.value))
    }
}

/// A JSON body together with its raw bytes.
pub struct RawJson<T> {
    pub value: T,
    pub raw: Bytes,
}

impl<T: DeserializeOwned + PartialSchema> RawJson<T> {
    /// Reads a JSON body that must be present.
    ///
    /// Errors: `unsupported-media-type`, `malformed-json`, `validation-failed`, and those of [`read_body`].
    pub async fn required(request: Request) -> Result<Self> {
        RawJson::up_to(request, JSON_LIMIT).await
    }

    /// Like [`RawJson::required`], with another maximum size in bytes.
    pub async fn up_to(request: Request, limit: usize) -> Result<Self> {
        if !is_json(request.headers()) {
            return Err(not_json());
        }
        let raw = read_body(request, limit).await?;
        Ok(RawJson {
            value: parse_json(&raw)?,
            raw,
        })
    }

    /// Like [`RawJson::required`], but an empty body means the default value.
    pub async fn optional(request: Request) -> Result<Self>
    where
        T: Default,
    {
        let is_json = is_json(request.headers());
        let raw = read_body(request, JSON_LIMIT).await?;
        if raw.is_empty() {
            return Ok(RawJson {
                value: T::default(),
                raw,
            });
        }
        if !is_json {
            return Err(not_json());
        }
        Ok(RawJson {
            value: parse_json(&raw)?,
            raw,
        })
    }
}

/// Returns whether `Content-Type` is JSON.
pub fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

fn not_json() -> Error {
    Error::new(
        Kind::UnsupportedMediaType,
        "send the body as `Content-Type: application/json`",
    )
}

/// Parses a JSON body. A leading byte order mark is ignored (RFC 8259, section 8.1).
///
/// Errors: `malformed-json` if the body is not JSON; `validation-failed`, which names all wrong fields.
pub fn parse_json<T: DeserializeOwned + PartialSchema>(body: &[u8]) -> Result<T> {
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    // serde would also read a struct from an array, by position.
    if body.trim_ascii_start().starts_with(b"[") {
        check_json(body)?;
        return Err(Error::field("body", "invalid", "must be an object"));
    }
    let mut parser = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut parser).map_err(|error| {
        let path = error.path().to_string();
        // If a later part of the body is not JSON, that error takes precedence over the field's.
        match check_json(body) {
            Ok(()) => {
                with_other_fields::<T>(field_error(&path, &error.into_inner().to_string()), body)
            }
            Err(not_json) => not_json,
        }
    })?;
    parser.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

/// The maximum size of a body whose fields are all checked after an error, in bytes. Checking them takes several times
/// as much memory.
const MAX_CHECKED: usize = 64 * 1024;

/// Returns the error of a body with the errors of all its fields, unless the body is very large.
fn with_other_fields<T: DeserializeOwned + PartialSchema>(first: Error, body: &[u8]) -> Error {
    if body.len() > MAX_CHECKED {
        return first;
    }
    match serde_json::from_slice(body) {
        Ok(fields) => with_all_fields(&first, fields, parse_alone::<T>),
        // It is not an object.
        Err(_) => first,
    }
}

/// Errors: the body is not JSON, or nested more than 128 levels deep.
fn check_json(body: &[u8]) -> Result<()> {
    serde_json::from_slice::<IgnoredJson>(body)
        .map(drop)
        .map_err(|error| malformed(&error))
}

fn malformed(error: &serde_json::Error) -> Error {
    Error::new(
        Kind::MalformedJson,
        format!("the body is not JSON: {error}"),
    )
}

/// Deserialises an optional field that may be omitted but not `null`, unless `T` itself accepts `null`.
pub fn deserialize_some<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// Like [`parse_json`], for the fields of a form.
pub fn parse_fields<T: DeserializeOwned + PartialSchema>(
    fields: serde_json::Map<String, serde_json::Value>,
) -> Result<T> {
    parse_alone(fields.clone().into())
        .map_err(|first| with_all_fields(&first, fields, parse_alone::<T>))
}

/// Parses a JSON value.
///
/// Errors: `validation-failed`, which names the first wrong field.
fn parse_alone<T: DeserializeOwned>(value: serde_json::Value) -> Result<T> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        field_error(&path, &error.into_inner().to_string())
    })
}

/// The error for an unknown field. `expected` lists the known ones.
pub fn unknown_field(name: impl Into<String>, expected: &str) -> Error {
    Error::field(
        name,
        "unknown-field",
        format!("is not a known field, {expected}"),
    )
}

/// Converts serde's message to a field error: the field's path, a code and a message.
fn field_error(path: &str, message: &str) -> Error {
    let message = message.split(" at line ").next().unwrap_or(message);
    let quoted = message.split('`').nth(1).unwrap_or_default();
    let inside = |name: &str| match path {
        "." | "" | "?" => name.to_owned(),
        path if path == name || path.ends_with(&format!(".{name}")) => path.to_owned(),
        path => format!("{path}.{name}"),
    };
    if message.starts_with("missing field") {
        Error::field(inside(quoted), "required", "is required")
    } else if message.starts_with("unknown field") {
        let rest = message.split_once(", ").map_or("", |(_, rest)| rest);
        unknown_field(inside(quoted), rest)
    } else if message.starts_with("duplicate field") {
        Error::field(inside(quoted), "duplicate", "was sent more than once")
    } else {
        let field = if matches!(path, "." | "" | "?") {
            "body"
        } else {
            path
        };
        Error::field(field, "invalid", rule(message))
    }
}

/// Returns what a value must be, from serde's message about a wrong type. Other messages are rules already.
fn rule(message: &str) -> String {
    let is_by_serde = ["invalid ", "unknown variant "]
        .iter()
        .any(|start| message.starts_with(start));
    // The value that was found comes first, and may itself contain these words.
    let expected = match message.rsplit_once(", expected ") {
        Some((_, expected)) if is_by_serde => expected,
        // The parser's message for the name of a variant.
        _ if message == "expected value" => "a string",
        _ => return message.to_owned(),
    };
    let expected = match expected {
        "a boolean" => "`true` or `false`",
        "u32" | "u64" => "a whole number that is not negative",
        "string or map" | "map with a single key" | "variant identifier" => "a string",
        // Do not expose the names of Rust types.
        "a map" => "an object",
        "a sequence" => "a list",
        expected if expected.starts_with("struct ") => "an object",
        expected => expected,
    };
    format!("must be {expected}")
}

/// The parameters of the path. An id that cannot be parsed is `not-found`.
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        axum::extract::Path::<T>::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Path(value)| Path(value))
            .map_err(|_| Error::new(Kind::NotFound, "there is nothing at this path"))
    }
}

/// The claims of a valid access token. Whether its session is still active must be checked in the
/// transaction.
pub struct Bearer(pub Claims);

impl<S: Send + Sync> FromRequestParts<S> for Bearer
where
    AccessTokens: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let mut values = parts.headers.get_all(header::AUTHORIZATION).iter();
        let missing = || Error::unauthorized("send `Authorization: Bearer <accessToken>`");
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(missing());
        };
        let (scheme, token) = value
            .to_str()
            .ok()
            .and_then(|value| value.split_once(' '))
            .ok_or_else(missing)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(missing());
        }
        let claims = AccessTokens::from_ref(state).verify(token.trim())?;
        request_context::set_user(claims.sub);
        Ok(Bearer(claims))
    }
}

/// The value of `If-Match` or `If-None-Match` (RFC 9110, section 13.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    Any,
    Tags(Vec<String>),
}

impl Condition {
    /// Returns `None` if the header is missing.
    ///
    /// Errors: `invalid-header`.
    pub fn from_headers(headers: &HeaderMap, name: &header::HeaderName) -> Result<Option<Self>> {
        let mut tags = Vec::new();
        let mut any = false;
        for value in headers.get_all(name) {
            let text = value.to_str().map_err(|_| {
                Error::new(
                    Kind::InvalidHeader,
                    format!("`{name}` may contain only visible ASCII characters"),
                )
            })?;
            for tag in text.split(',').map(str::trim).filter(|tag| !tag.is_empty()) {
                any |= tag == "*";
                tags.push(tag.to_owned());
            }
        }
        match (any, tags.is_empty()) {
            (true, _) => Ok(Some(Condition::Any)),
            (false, true) => Ok(None),
            (false, false) => Ok(Some(Condition::Tags(tags))),
        }
    }

    /// Returns whether `etag`, a strong tag of this server, is among the tags. A proxy that compresses
    /// responses makes their tags weak or appends the coding, so those forms match, too. This deviates from
    /// the strong comparison of `If-Match` (RFC 9110, section 13.1.1), but is safe: the tag is a digest of
    /// the whole representation and identifies one version in every form.
    pub fn matches(&self, etag: &str) -> bool {
        match self {
            Condition::Any => true,
            Condition::Tags(tags) => tags.iter().any(|tag| is_form_of(tag, etag)),
        }
    }
}

/// Content codings that proxies append to a tag, e.g. `"…-gzip"` or `"…;br"`.
const CODINGS: [&str; 4] = ["gzip", "br", "zstd", "deflate"];

fn is_form_of(tag: &str, etag: &str) -> bool {
    let tag = tag.strip_prefix("W/").unwrap_or(tag);
    let Some(suffix) = etag
        .strip_suffix('"')
        .and_then(|own| tag.strip_prefix(own)?.strip_suffix('"'))
    else {
        return false;
    };
    let coding = suffix.trim_start_matches(['-', ';', '/', ':']);
    suffix.is_empty() || (coding.len() < suffix.len() && CODINGS.contains(&coding))
}
