//! Phones: a number is shown at once and proven by a code that was sent to it.

use std::time::Duration;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use utoipa::ToSchema;

use super::{Network, User, attempt_limits, store};
use crate::{
    app::App,
    core::{
        clock::Timestamp,
        error::{Error, Kind, Result},
        id::UserId,
    },
    infra::db::Tx,
};

/// How often a code may be guessed.
const MOST_GUESSES: i64 = 5;

/// How long a code is good.
const LIFETIME: Duration = Duration::from_mins(10);

/// A number in E.164: `+`, the country and the rest, 7 to 15 digits.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, example = "+919812345678", pattern = r"^\+[1-9][0-9]{6,14}$")]
pub struct Phone(String);

impl TryFrom<String> for Phone {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let digits = text.strip_prefix('+').unwrap_or_default();
        let is_number = (7..=15).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0');
        if is_number {
            Ok(Phone(text))
        } else {
            Err("must be a number in E.164, as `+919812345678`".to_owned())
        }
    }
}

impl Phone {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A code that was drawn and is still to be sent.
#[derive(Debug)]
pub struct DrawnCode {
    pub text: String,
    pub expires_at: Timestamp,
}

/// Takes a number down and draws the code that will prove it. The caller sends the code once this is
/// committed.
pub fn set_phone(
    tx: &mut Tx<'_>,
    app: &App,
    user: UserId,
    phone: &Phone,
    from: Network,
) -> Result<DrawnCode> {
    if app.limits.are_on() {
        attempt_limits::count_code(tx, user, phone, from)?;
    }
    let text = format!("{:06}", tx.rng().below(1_000_000));
    let salt = tx.rng().bytes::<16>();
    let expires_at = tx.now().plus(LIFETIME);
    let hash = hash(&text, &salt);
    store::phones::expect(tx, user, phone.as_str(), (&hash, &salt), expires_at)?;
    Ok(DrawnCode { text, expires_at })
}

/// Whether the code is the one that was sent; the guess counts, and is to be committed, either way.
pub fn guess_code(tx: &mut Tx<'_>, user: UserId, code: &str) -> Result<Option<User>> {
    let Some((kept, salt)) = store::phones::count_guess(tx, user, MOST_GUESSES)? else {
        return Ok(None);
    };
    if !bool::from(hash(code, &salt).as_slice().ct_eq(&kept)) {
        return Ok(None);
    }
    store::phones::verify(tx, user)?;
    super::user_by_id(tx, user).map(Some)
}

/// The answer to a code that does not serve.
pub(super) fn wrong_code() -> Error {
    let detail = "the code is wrong, was tried too often or has expired; ask for a new one";
    Error::new(Kind::Refused("invalid-code"), detail)
}

fn hash(code: &str, salt: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update(salt)
        .chain_update(code)
        .finalize()
        .into()
}

/// Forgets the codes that are too old.
pub fn forget_codes(tx: &mut Tx<'_>) -> Result<u64> {
    store::phones::forget(tx)
}
