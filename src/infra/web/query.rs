//! Query strings as browsers send them. A form submits all its fields, so an empty value means that the
//! parameter is not set.

use std::borrow::Cow;

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

use crate::core::{
    clock::Timestamp,
    error::{Error, Kind, Result},
};

/// The query parameters. Errors: `invalid-query`, also for unknown parameters.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let text = parts.uri.query().unwrap_or_default();
        let pairs = form_urlencoded::parse(text.as_bytes());
        let pairs = MapDeserializer::new(pairs.map(|(name, value)| (name, Text(value))));
        serde_path_to_error::deserialize(pairs)
            .map(Query)
            .map_err(|error| {
                let path = error.path().to_string();
                let cause = error.into_inner().to_string();
                let cause = cause.replace("unknown field", "unknown parameter");
                let is_named = path == "." || cause.contains(&format!("`{path}`"));
                let detail = if is_named {
                    cause
                } else {
                    format!("`{path}`: {cause}")
                };
                Error::new(Kind::InvalidQuery, detail)
            })
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

/// Returns the error for a parameter whose value must be one of these names.
pub fn not_one_of(parameter: &str, names: impl IntoIterator<Item = &'static str>) -> Error {
    let names: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    let detail = format!("`{parameter}` must be one of {}", names.join(", "));
    Error::new(Kind::InvalidQuery, detail)
}

/// Parses the timestamp in the parameter `name`. Errors: `invalid-query`.
pub fn parse_timestamp(name: &str, text: &str) -> Result<Timestamp> {
    text.parse().map_err(|_| {
        let detail = format!("`{name}` must be an RFC 3339 timestamp, e.g. `2026-01-31T18:00:00Z`");
        Error::new(Kind::InvalidQuery, detail)
    })
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
    ($($method:ident $visit:ident,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, QueryError> {
            let value = self.0.parse().map_err(QueryError::custom)?;
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
        deserialize_bool visit_bool,
        deserialize_i64 visit_i64,
        deserialize_u64 visit_u64,
    }

    forward_to_deserialize_any! {
        i8 i16 i32 u8 u16 u32 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}
