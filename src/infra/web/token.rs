//! Access tokens: JWTs (RFC 7519) signed with HMAC-SHA256. They name a session; whether it still
//! stands is the business of whoever reads the database.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};

use crate::{
    core::{
        clock::{Clock, Timestamp},
        error::{Error, Result},
        id::{SessionId, UserId},
    },
    infra::config::Secret,
};

/// Issuer and audience of every token.
const NAME: &str = "shop";

/// How far two clocks may differ, in seconds.
const LEEWAY: i64 = 5;

/// What an access token says.
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

/// What matters of a rightly signed token.
#[derive(Debug, Clone, Copy)]
pub struct Claims {
    pub sub: UserId,
    pub sid: SessionId,
    exp: i64,
    nbf: i64,
}

/// How many tokens are remembered as rightly signed.
const REMEMBERED: usize = 8192;

/// Signs and verifies access tokens. A clone shares the keys and the cache.
#[derive(Clone)]
pub struct Tokens(Arc<Inner>);

struct Inner {
    signing: EncodingKey,
    reading: Vec<DecodingKey>,
    validation: Validation,
    ttl: Duration,
    clock: Clock,
    /// Tokens whose signature was checked already; what they say does not change. Checking one
    /// costs as much as all else around a small request.
    verified: RwLock<HashMap<String, Claims>>,
}

impl Tokens {
    /// The first of `secrets` signs, all are read; there must be one.
    pub fn new(secrets: &[Secret], ttl: Duration, clock: Clock) -> Result<Tokens> {
        let first = secrets
            .first()
            .ok_or_else(|| Error::internal("no secret for tokens"))?;
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[NAME]);
        validation.set_audience(&[NAME]);
        validation.set_required_spec_claims(&["iss", "aud", "exp"]);
        // Times are checked here, by the shop's own clock.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Ok(Tokens(Arc::new(Inner {
            signing: EncodingKey::from_secret(first.0.as_bytes()),
            reading: secrets
                .iter()
                .map(|s| DecodingKey::from_secret(s.0.as_bytes()))
                .collect(),
            validation,
            ttl,
            clock,
            verified: RwLock::default(),
        })))
    }

    /// Returns how long a new token is valid.
    pub fn ttl(&self) -> Duration {
        self.0.ttl
    }

    pub fn sign(&self, user: UserId, session: SessionId, now: Timestamp) -> Result<String> {
        let claims = Payload {
            iss: NAME.to_owned(),
            aud: NAME.to_owned(),
            sub: user,
            sid: session,
            iat: now.seconds(),
            exp: now.plus(self.0.ttl).seconds(),
            nbf: None,
        };
        encode(&Header::new(Algorithm::HS256), &claims, &self.0.signing).map_err(Error::internal)
    }

    /// What a token says, if it is ours and of now.
    pub fn read(&self, token: &str) -> Result<Claims> {
        let refused = || Error::unauthorized("the access token is not valid; sign in again");
        let claims = match self.remembered(token) {
            Some(claims) => claims,
            None => self.verify(token).ok_or_else(refused)?,
        };
        let now = self.0.clock.now().seconds();
        if claims.nbf > now + LEEWAY || claims.exp <= now - LEEWAY {
            return Err(refused());
        }
        Ok(claims)
    }

    fn remembered(&self, token: &str) -> Option<Claims> {
        self.0
            .verified
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(token)
            .copied()
    }

    fn verify(&self, token: &str) -> Option<Claims> {
        let decode = |key| decode::<Payload>(token, key, &self.0.validation).ok();
        let token_data = self.0.reading.iter().find_map(decode)?;
        // No extension is understood, so none may be critical (RFC 7515, section 4.1.11).
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
        let mut verified = self
            .0
            .verified
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if verified.len() >= REMEMBERED {
            verified.clear();
        }
        verified.insert(token.to_owned(), claims);
        Some(claims)
    }
}
