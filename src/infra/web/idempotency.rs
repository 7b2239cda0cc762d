//! `Idempotency-Key`: a success is kept in the very transaction that makes it, and given again
//! byte for byte (IETF draft-ietf-httpapi-idempotency-key-header). Any other answer leaves the key
//! free, since its transaction is undone.

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
    },
    infra::db::{Tx, params},
};

/// How long an answer is kept.
pub const KEPT_FOR: Duration = Duration::from_hours(24);

const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The key of a request and the route it belongs to; no key, nothing is kept.
#[derive(Debug, Clone)]
pub struct IdempotencyKey {
    key: Option<String>,
    route: String,
}

impl IdempotencyKey {
    /// Whether the request came without one.
    pub fn is_none(&self) -> bool {
        self.key.is_none()
    }
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

/// The request's path with its parameters decoded, so that one id gives one key however the request
/// spells it.
async fn decoded_path(parts: &mut Parts) -> Result<String> {
    let template = MatchedPath::from_request_parts(parts, &()).await;
    let parameters = RawPathParams::from_request_parts(parts, &()).await;
    let (Ok(template), Ok(parameters)) = (template, parameters) else {
        return Err(Error::internal(
            "an idempotent route has no path of its own",
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
    let bare = match bytes {
        [b'"', inner @ .., b'"'] => inner,
        // A quotation mark that nothing closes.
        [b'"', ..] => &[],
        bytes => bytes,
    };
    if (1..=255).contains(&bare.len()) && bare.iter().all(u8::is_ascii_graphic) {
        Ok(bare.iter().copied().map(char::from).collect())
    } else {
        let detail = "`Idempotency-Key` must be 1 to 255 visible characters";
        Err(Error::new(Kind::InvalidHeader, detail))
    }
}

/// How a key is sent: 1 to 255 visible characters, bare or as a quoted string.
impl utoipa::PartialSchema for IdempotencyKey {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(r#"^([!#-~][!-~]{0,254}|"[!-~]{1,255}")$"#))
            .into()
    }
}

impl utoipa::ToSchema for IdempotencyKey {}

/// A success that can be kept and given again.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: Vec<(HeaderName, String)>,
    pub body: Bytes,
    replayed: bool,
}

impl Answer {
    pub fn new(status: StatusCode, body: Bytes) -> Self {
        Answer {
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

impl IntoResponse for Answer {
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

/// Runs `work` once for each key of a user and route, and gives its answer every time. A repeat
/// that arrives meanwhile waits for the writer, and so for the answer.
pub fn once(
    tx: &mut Tx<'_>,
    request: &IdempotencyKey,
    user: UserId,
    body: &[u8],
    work: impl FnOnce(&mut Tx<'_>) -> Result<Answer>,
) -> Result<Answer> {
    let Some(key) = &request.key else {
        return work(tx);
    };
    let hash = Sha256::digest(body);
    let expired = tx.now().0 - i64::try_from(KEPT_FOR.as_millis()).unwrap_or(i64::MAX);
    let kept = tx.one(
        "SELECT body_hash, status, headers, body FROM idempotency_keys
         WHERE user_id = ?1 AND route = ?2 AND key = ?3 AND created_at > ?4",
        params![user, &request.route, key, expired],
        |row| {
            Ok((
                row.get::<Vec<u8>>(0)?,
                row.get::<i64>(1)?,
                row.get::<String>(2)?,
                row.get::<Vec<u8>>(3)?,
            ))
        },
    )?;
    if let Some((kept_hash, status, headers, body)) = kept {
        if kept_hash != hash.as_slice() {
            let detail = "this `Idempotency-Key` was used with another body; use a new one";
            return Err(Error::new(Kind::Invalid("idempotency-key-reused"), detail));
        }
        return replay(status, &headers, body);
    }
    let answer = work(tx)?;
    let headers: Vec<_> = answer
        .headers
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    let headers = serde_json::to_string(&headers).map_err(Error::internal)?;
    tx.execute(
        "INSERT INTO idempotency_keys
             (user_id, route, key, body_hash, status, headers, body, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (user_id, route, key) DO UPDATE
         SET body_hash = excluded.body_hash, status = excluded.status,
             headers = excluded.headers, body = excluded.body, created_at = excluded.created_at",
        params![
            user,
            &request.route,
            key,
            hash.as_slice(),
            i64::from(answer.status.as_u16()),
            &headers,
            answer.body.as_ref(),
            tx.now()
        ],
    )?;
    Ok(answer)
}

fn replay(status: i64, headers: &str, body: Vec<u8>) -> Result<Answer> {
    let headers: Vec<(String, String)> = serde_json::from_str(headers).map_err(Error::internal)?;
    Ok(Answer {
        status: u16::try_from(status)
            .ok()
            .and_then(|status| StatusCode::from_u16(status).ok())
            .ok_or_else(|| Error::internal("a kept answer has no status"))?,
        headers: headers
            .into_iter()
            .map(|(name, value)| Ok((name.parse().map_err(Error::internal)?, value)))
            .collect::<Result<_>>()?,
        body: body.into(),
        replayed: true,
    })
}

/// Forgets the answers that were kept long enough; tells how many.
pub fn forget_expired(tx: &mut Tx<'_>) -> Result<u64> {
    let expired = tx.now().0 - i64::try_from(KEPT_FOR.as_millis()).unwrap_or(i64::MAX);
    tx.execute(
        "DELETE FROM idempotency_keys WHERE created_at <= ?1",
        params![expired],
    )
}
