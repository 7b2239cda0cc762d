//! Access tokens: JWTs (RFC 7519) signed with HMAC-SHA256. They name a session; whether it still
//! stands is the business of whoever reads the database.

use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};

use crate::{
    clock::{Clock, Timestamp},
    config::Secret,
    error::{Error, Result},
    id::{SessionId, UserId},
};

/// Issuer and audience of every token.
const NAME: &str = "shop";

/// How far two clocks may differ, in seconds.
const LEEWAY: i64 = 5;

/// What an access token says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claims {
    iss: String,
    aud: String,
    pub sub: UserId,
    pub sid: SessionId,
    iat: i64,
    exp: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
}

/// Signs and reads access tokens.
pub struct Tokens {
    signing: EncodingKey,
    reading: Vec<DecodingKey>,
    validation: Validation,
    pub ttl: Duration,
    clock: Clock,
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
        Ok(Tokens {
            signing: EncodingKey::from_secret(first.0.as_bytes()),
            reading: secrets
                .iter()
                .map(|s| DecodingKey::from_secret(s.0.as_bytes()))
                .collect(),
            validation,
            ttl,
            clock,
        })
    }

    pub fn sign(&self, user: UserId, session: SessionId, now: Timestamp) -> Result<String> {
        let claims = Claims {
            iss: NAME.to_owned(),
            aud: NAME.to_owned(),
            sub: user,
            sid: session,
            iat: now.seconds(),
            exp: now.plus(self.ttl).seconds(),
            nbf: None,
        };
        encode(&Header::new(Algorithm::HS256), &claims, &self.signing).map_err(Error::internal)
    }

    /// What a token says, if it is ours and of now.
    pub fn read(&self, token: &str) -> Result<Claims> {
        let refused = || Error::unauthorized("the access token is not valid; sign in again");
        let claims = self
            .reading
            .iter()
            .find_map(|key| decode::<Claims>(token, key, &self.validation).ok())
            .ok_or_else(refused)?
            .claims;
        let now = self.clock.now().seconds();
        let early = claims.nbf.is_some_and(|from| from > now + LEEWAY);
        if early || claims.exp <= now - LEEWAY {
            return Err(refused());
        }
        Ok(claims)
    }
}
