//! Access tokens: JWTs (RFC 7519) signed with HMAC-SHA256. A token names a session; whether that session is
//! still active must be checked in the database.

use std::{sync::Arc, time::Duration};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use moka::sync::Cache;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};

use crate::{
    core::{
        clock::{Clock, Timestamp},
        error::{Error, Result},
        id::{SessionId, UserId},
    },
    infra::config::Secret,
};

/// The issuer and audience of every token.
const ISSUER: &str = "shop";

/// The tolerated clock skew, in seconds.
const LEEWAY: i64 = 5;

/// All claims of an access token.
#[derive(Debug, Serialize, Deserialize)]
struct Payload {
    iss: String,
    aud: String,
    sub: UserId,
    sid: SessionId,
    iat: i64,
    exp: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
}

/// The claims of a token whose signature is valid.
#[derive(Debug, Clone, Copy)]
pub struct Claims {
    pub sub: UserId,
    pub sid: SessionId,
    exp: i64,
    nbf: i64,
}

/// The maximum number of cached tokens.
const CACHE_CAPACITY: u64 = 8192;

/// Signs and verifies access tokens. A clone shares the keys and the cache.
#[derive(Clone)]
pub struct AccessTokens(Arc<Inner>);

struct Inner {
    encoding_key: EncodingKey,
    decoding_keys: Vec<DecodingKey>,
    validation: Validation,
    ttl: Duration,
    clock: Clock,
    /// The claims of tokens whose signature was already verified. Verifying one takes as long as the rest of
    /// a small request. Expiry is checked against `clock` at each use.
    verified: Cache<String, Claims>,
}

impl AccessTokens {
    /// The first of `secrets` signs new tokens; tokens signed with any of them are valid.
    pub fn new(secrets: &[Secret], ttl: Duration, clock: Clock) -> Result<AccessTokens> {
        let first = secrets
            .first()
            .ok_or_else(|| Error::internal("no secret for access tokens"))?;
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[ISSUER]);
        validation.set_required_spec_claims(&["iss", "aud", "exp"]);
        // `AccessTokens::verify` checks the times against the injected clock.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Ok(AccessTokens(Arc::new(Inner {
            encoding_key: EncodingKey::from_secret(first.expose_secret().as_bytes()),
            decoding_keys: secrets
                .iter()
                .map(|s| DecodingKey::from_secret(s.expose_secret().as_bytes()))
                .collect(),
            validation,
            ttl,
            clock,
            verified: Cache::new(CACHE_CAPACITY),
        })))
    }

    /// Returns the lifetime of a new token.
    pub fn ttl(&self) -> Duration {
        self.0.ttl
    }

    pub fn sign(&self, user: UserId, session: SessionId, now: Timestamp) -> Result<String> {
        let claims = Payload {
            iss: ISSUER.to_owned(),
            aud: ISSUER.to_owned(),
            sub: user,
            sid: session,
            iat: now.seconds(),
            exp: now.plus(self.0.ttl).seconds(),
            nbf: None,
        };
        encode(
            &Header::new(Algorithm::HS256),
            &claims,
            &self.0.encoding_key,
        )
        .map_err(Error::internal)
    }

    /// Verifies a token and returns its claims.
    ///
    /// Errors: `unauthorized` if the signature or a claim is invalid, or the token has expired.
    pub fn verify(&self, token: &str) -> Result<Claims> {
        let invalid =
            || Error::unauthorized("the access token is invalid or expired; sign in again");
        let claims = match self.0.verified.get(token) {
            Some(claims) => claims,
            None => self.verify_signature(token).ok_or_else(invalid)?,
        };
        let now = self.0.clock.now().seconds();
        if claims.nbf > now + LEEWAY || claims.exp <= now - LEEWAY {
            return Err(invalid());
        }
        Ok(claims)
    }

    /// Returns the approximate number of cached tokens.
    pub fn cached(&self) -> u64 {
        self.0.verified.entry_count()
    }

    fn verify_signature(&self, token: &str) -> Option<Claims> {
        let decode = |key| decode::<Payload>(token, key, &self.0.validation).ok();
        let token_data = self.0.decoding_keys.iter().find_map(decode)?;
        // No extension is supported, so none may be critical (RFC 7515, section 4.1.11).
        if token_data.header.crit.is_some() {
            return None;
        }
        let payload = token_data.claims;
        let claims = Claims {
            sub: payload.sub,
            sid: payload.sid,
            exp: payload.exp,
            nbf: payload.nbf.unwrap_or(i64::MIN),
        };
        self.0.verified.insert(token.to_owned(), claims);
        Some(claims)
    }
}
