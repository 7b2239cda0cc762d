//! `Idempotency-Key` (IETF draft-ietf-httpapi-idempotency-key-header): a successful response is stored in the
//! transaction that produces it and replayed byte for byte. An error rolls the transaction back, so its key
//! can be used again.

use std::time::Duration;

use axum::{
    extract::{FromRequestParts, MatchedPath, RawPathParams},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, request::Parts};
use sha2::{Digest, Sha256};
use utoipa::openapi::{ObjectBuilder, RefOr, Type, schema::Schema};

use super::respond;
use crate::{
    core::{
        error::{Error, Kind, Result},
        id::UserId,
        problem::ProblemType,
    },
    infra::db::{Prefetched, Tx, params},
};

/// How long a stored response is replayed.
const RETENTION: Duration = Duration::from_hours(24);

const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

pub const IDEMPOTENCY_KEY_REUSED: ProblemType = ProblemType::new(
    Kind::Invalid("idempotency-key-reused"),
    "Idempotency key was used with a different body",
    "Use a new `Idempotency-Key` for each new request. Repeat a key only to retry the same request.",
);

/// The `Idempotency-Key` of a request, if it has one, and the route that it applies to.
#[derive(Debug, Clone)]
pub struct IdempotencyKey {
    key: Option<String>,
    route: String,
}

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let path = decoded_path(parts).await?;
        let route = format!("{} {path}", parts.method);
        let mut values = parts.headers.get_all(HEADER).iter();
        let key = match (values.next(), values.next()) {
            (None, _) => None,
            (Some(value), None) => Some(parse(value)?),
            (Some(_), Some(_)) => {
                return Err(Error::new(
                    Kind::InvalidHeader,
                    "`Idempotency-Key` was sent more than once",
                ));
            }
        };
        Ok(IdempotencyKey { key, route })
    }
}

/// Returns the request's path with its parameters decoded, so that the encoding of an id does not matter.
async fn decoded_path(parts: &mut Parts) -> Result<String> {
    let template = MatchedPath::from_request_parts(parts, &()).await;
    let parameters = RawPathParams::from_request_parts(parts, &()).await;
    let (Ok(template), Ok(parameters)) = (template, parameters) else {
        return Err(Error::internal(
            "a request with an idempotency key matched no route",
        ));
    };
    let mut path = template.as_str().to_owned();
    for (name, value) in &parameters {
        path = path.replace(&format!("{{{name}}}"), value);
    }
    Ok(path)
}

fn parse(value: &HeaderValue) -> Result<String> {
    let bytes = value.as_bytes();
    let key = match bytes {
        [b'"', inner @ .., b'"'] => inner,
        // The closing quotation mark is missing.
        [b'"', ..] => &[],
        bytes => bytes,
    };
    if (1..=255).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic) {
        Ok(key.iter().copied().map(char::from).collect())
    } else {
        let detail = "`Idempotency-Key` must be 1 to 255 visible ASCII characters";
        Err(Error::new(Kind::InvalidHeader, detail))
    }
}

/// 1 to 255 visible ASCII characters, bare or as a quoted string.
impl utoipa::PartialSchema for IdempotencyKey {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(r#"^([!#-~][!-~]{0,254}|"[!-~]{1,255}")$"#))
            .into()
    }
}

impl utoipa::ToSchema for IdempotencyKey {}

/// A successful response that can be stored and replayed.
#[derive(Debug, Clone)]
pub struct StoredResponse {
    pub status: StatusCode,
    pub headers: Vec<(HeaderName, String)>,
    pub body: Bytes,
    replayed: bool,
}

impl StoredResponse {
    pub fn new(status: StatusCode, body: Bytes) -> Self {
        StoredResponse {
            status,
            headers: Vec::new(),
            body,
            replayed: false,
        }
    }

    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: String) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl IntoResponse for StoredResponse {
    fn into_response(self) -> Response {
        let mut response = respond::json_bytes(self.status, self.body);
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(name, value);
            }
        }
        if self.replayed {
            response
                .headers_mut()
                .insert(REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}

/// A row of `idempotency_answers`.
struct KeyRow {
    body_hash: Vec<u8>,
    status: i64,
    headers: String,
    body: Vec<u8>,
}

/// The response that is stored under a key, prefetched.
pub struct Lookup(Option<Prefetched<Option<KeyRow>>>);

impl IdempotencyKey {
    /// Prefetches the stored response. Call it after the query that locks the user's row: a
    /// concurrent request with the same key waits there for the first transaction.
    pub fn prefetch_lookup(&self, tx: &mut Tx<'_>, user: UserId) -> Result<Lookup> {
        let Some(key) = &self.key else {
            return Ok(Lookup(None));
        };
        let expired_before = expiry_limit(tx);
        let row = tx.prefetch_one(
            "SELECT body_hash, status, headers, body FROM idempotency_answers
             WHERE owner_id = ?1 AND route = ?2 AND key = ?3 AND created_at > ?4",
            params![user, &self.route, key, expired_before],
            |row| {
                Ok(KeyRow {
                    body_hash: row.get("body_hash")?,
                    status: row.get("status")?,
                    headers: row.get("headers")?,
                    body: row.get("body")?,
                })
            },
        )?;
        Ok(Lookup(Some(row)))
    }

    /// Replays the stored response, or runs `work` and stores its response.
    ///
    /// Errors: those of `work`; `idempotency-key-reused` if the key was used with another body.
    pub fn replay_or(
        &self,
        tx: &mut Tx<'_>,
        lookup: Lookup,
        user: UserId,
        body: &[u8],
        work: impl FnOnce(&mut Tx<'_>) -> Result<StoredResponse>,
    ) -> Result<StoredResponse> {
        let (Some(key), Some(row)) = (&self.key, lookup.0) else {
            return work(tx);
        };
        let hash = Sha256::digest(body);
        if let Some(row) = tx.result(row)? {
            if row.body_hash != hash.as_slice() {
                let detail = "this `Idempotency-Key` was used with a different body; use a new key";
                return Err(IDEMPOTENCY_KEY_REUSED.error(detail));
            }
            return replay(row);
        }
        let response = work(tx)?;
        let headers: Vec<_> = response
            .headers
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .collect();
        let headers = serde_json::to_string(&headers).map_err(Error::internal)?;
        tx.expect(
            "INSERT INTO idempotency_answers
                 (owner_id, route, key, body_hash, status, headers, body, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (owner_id, route, key) DO UPDATE
             SET body_hash = excluded.body_hash, status = excluded.status,
                 headers = excluded.headers, body = excluded.body, created_at = excluded.created_at",
            params![
                user,
                &self.route,
                key,
                hash.as_slice(),
                i64::from(response.status.as_u16()),
                &headers,
                response.body.as_ref(),
                tx.now()
            ],
            1,
            || Error::internal("the response to an idempotent request was not stored"),
        )?;
        Ok(response)
    }
}

/// Runs `work` once for each key of a user and route, and replays its response to later requests. A
/// concurrent request with the same key waits for the first transaction.
///
/// Errors: as [`IdempotencyKey::replay_or`].
pub fn once(
    tx: &mut Tx<'_>,
    key: &IdempotencyKey,
    user: UserId,
    body: &[u8],
    work: impl FnOnce(&mut Tx<'_>) -> Result<StoredResponse>,
) -> Result<StoredResponse> {
    let lookup = key.prefetch_lookup(tx, user)?;
    key.replay_or(tx, lookup, user, body, work)
}

/// Responses stored at this time or earlier have expired, in Unix milliseconds.
fn expiry_limit(tx: &Tx<'_>) -> i64 {
    tx.now().0 - i64::try_from(RETENTION.as_millis()).unwrap_or(i64::MAX)
}

fn replay(row: KeyRow) -> Result<StoredResponse> {
    let headers: Vec<(String, String)> =
        serde_json::from_str(&row.headers).map_err(Error::internal)?;
    Ok(StoredResponse {
        status: u16::try_from(row.status)
            .ok()
            .and_then(|status| StatusCode::from_u16(status).ok())
            .ok_or_else(|| Error::internal("a stored response has an invalid status"))?,
        headers: headers
            .into_iter()
            .map(|(name, value)| Ok((name.parse().map_err(Error::internal)?, value)))
            .collect::<Result<_>>()?,
        body: row.body.into(),
        replayed: true,
    })
}

/// Deletes expired responses. Returns how many.
pub fn delete_expired(tx: &mut Tx<'_>) -> Result<u64> {
    let expired_before = expiry_limit(tx);
    tx.execute(
        "DELETE FROM idempotency_answers WHERE created_at <= ?1",
        params![expired_before],
    )
}
