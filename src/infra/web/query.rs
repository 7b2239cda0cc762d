//! Query strings as browsers send them. A form submits all its fields, so an empty value means that the
//! parameter is not set.

use std::{borrow::Cow, fmt::Display};

use axum::extract::FromRequestParts;
use http::request::Parts;
use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeOwned, Error as _, IntoDeserializer, Visitor,
        value::{CowStrDeserializer, Error as QueryError, MapDeserializer},
    },
    forward_to_deserialize_any,
};

use super::field_errors::{MAX_FIELDS, add};
use crate::core::{
    clock::Timestamp,
    error::{Error, Field, Kind, Result},
};

/// The query parameters. Errors: `invalid-query`, also for unknown parameters; it names all wrong ones.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let text = parts.uri.query().unwrap_or_default();
        let pairs = || form_urlencoded::parse(text.as_bytes());
        parse(pairs()).map(Query).map_err(|first| {
            // serde stops at the first error, so each parameter is parsed alone. None is required.
            let mut errors = vec![*first];
            for pair in pairs().take(MAX_FIELDS) {
                let alone = parse::<T>(std::iter::once(pair));
                add(&mut errors, alone.err().into_iter().map(|it| *it).collect());
            }
            let details: Vec<_> = errors.iter().map(detail).collect();
            Error::new(Kind::InvalidQuery, details.join("; ")).with_fields(errors)
        })
    }
}

/// Errors: the first wrong parameter.
fn parse<'a, T: DeserializeOwned>(
    pairs: impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)>,
) -> Result<T, Box<Field>> {
    let pairs = MapDeserializer::new(pairs.map(|(name, value)| (name, Text(value))));
    serde_path_to_error::deserialize(pairs).map_err(|error| {
        let path = error.path().to_string();
        let cause = error.into_inner().to_string();
        let (code, cause) = match cause.strip_prefix("unknown field") {
            Some(rest) => ("unknown-parameter", format!("unknown parameter{rest}")),
            None if cause.starts_with("duplicate field") => ("duplicate", cause),
            None => ("invalid", cause),
        };
        let name = match path.as_str() {
            "." | "" | "?" => cause.split('`').nth(1).unwrap_or_default().to_owned(),
            _ => path,
        };
        Box::new(Field::new(name, code, cause))
    })
}

/// Returns a sentence that names the parameter.
fn detail(error: &Field) -> String {
    let Field { field, message, .. } = error;
    if message.contains(&format!("`{field}`")) {
        message.clone()
    } else if message.starts_with("must ") {
        format!("`{field}` {message}")
    } else {
        format!("`{field}`: {message}")
    }
}

/// For routes without query parameters: rejects any, so that a typo does not go unnoticed.
pub struct NoQuery;

impl<S: Sync> FromRequestParts<S> for NoQuery {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        match parts.uri.query() {
            None | Some("") => Ok(NoQuery),
            Some(_) => Err(Error::new(
                Kind::InvalidQuery,
                "this route takes no query parameters",
            )),
        }
    }
}

/// Deserialises a parameter whose empty value is significant, e.g. `cursor=` requests the first page.
pub fn empty_is_set<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    String::deserialize(deserializer).map(Some)
}

/// Deserialises an optional parameter by `parse`, whose error says what the value must be.
pub fn parse_with<'de, D: Deserializer<'de>, T, E: Display>(
    deserializer: D,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| parse(&text).map_err(D::Error::custom))
        .transpose()
}

/// Returns what a value must be that is one of these names.
pub fn one_of(names: impl IntoIterator<Item = &'static str>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    format!("must be one of {}", names.join(", "))
}

/// Deserialises an optional timestamp.
pub fn timestamp<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Timestamp>, D::Error> {
    let rule = "must be an RFC 3339 timestamp, e.g. `2026-01-31T18:00:00Z`";
    parse_with(deserializer, |text| text.parse().map_err(|_| rule))
}

/// The decoded value of one parameter.
struct Text<'a>(Cow<'a, str>);

impl<'de> IntoDeserializer<'de> for Text<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! parse_as {
    ($($method:ident $visit:ident $rule:literal,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, QueryError> {
            let value = self.0.parse().map_err(|_| QueryError::custom($rule))?;
            visitor.$visit(value)
        }
    )*};
}

impl<'de> Deserializer<'de> for Text<'de> {
    type Error = QueryError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, QueryError> {
        CowStrDeserializer::new(self.0).deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, QueryError> {
        if self.0.is_empty() {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, QueryError> {
        visitor.visit_newtype_struct(self)
    }

    parse_as! {
        deserialize_bool visit_bool "must be `true` or `false`",
        deserialize_i64 visit_i64 "must be a whole number",
        deserialize_u64 visit_u64 "must be a whole number that is not negative",
    }

    forward_to_deserialize_any! {
        i8 i16 i32 u8 u16 u32 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}
