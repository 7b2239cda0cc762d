//! Phone verification by a code in a text message.

use std::time::Duration;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{
    attempt_limits, lookup::user_by_id, phone::Phone, problems::INVALID_CODE, store, user::User,
};
use crate::{
    core::{
        clock::Timestamp,
        error::{Error, Result},
        id::UserId,
    },
    infra::{db::Tx, web::client::Network},
};

/// How many attempts a code allows.
const MAX_ATTEMPTS: i64 = 5;

/// How long a code is valid.
const CODE_LIFETIME: Duration = Duration::from_mins(10);

/// A new code, to be sent after the commit.
#[derive(Debug)]
pub(super) struct PhoneCode {
    pub(super) text: String,
    pub(super) expires_at: Timestamp,
}

/// Sets the phone number of an account as unverified and generates the code that verifies it. The caller
/// sends the code after the commit.
///
/// Errors: `TooManyRequests`.
pub(super) fn set_phone(
    tx: &mut Tx<'_>,
    user: UserId,
    phone: &Phone,
    from: Network,
) -> Result<PhoneCode> {
    if tx.settings().rate_limit {
        attempt_limits::count_phone_code(tx, user, phone, from)?;
    }
    let text = format!("{:06}", tx.rng().below(1_000_000));
    let salt = tx.rng().bytes::<16>();
    let expires_at = tx.now().plus(CODE_LIFETIME);
    let hash = hash(&text, &salt);
    store::phone_codes::upsert(tx, user, phone.as_str(), (&hash, &salt), expires_at)?;
    Ok(PhoneCode { text, expires_at })
}

/// Verifies the phone number of an account. Returns `None` if the code is wrong, expired or used up; the
/// transaction must be committed all the same, since it counts the attempt.
pub(super) fn verify_phone(tx: &mut Tx<'_>, user: UserId, code: &str) -> Result<Option<User>> {
    let Some((expected, salt)) = store::phone_codes::count_attempt(tx, user, MAX_ATTEMPTS)? else {
        return Ok(None);
    };
    if !bool::from(hash(code, &salt).as_slice().ct_eq(&expected)) {
        return Ok(None);
    }
    store::phone_codes::mark_verified(tx, user)?;
    user_by_id(tx, user).map(Some)
}

/// The error of every code that is not accepted.
pub(super) fn invalid_code() -> Error {
    let detail = "the code is wrong, expired or was tried too often; request a new one";
    INVALID_CODE.error(detail)
}

fn hash(code: &str, salt: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update(salt)
        .chain_update(code)
        .finalize()
        .into()
}
