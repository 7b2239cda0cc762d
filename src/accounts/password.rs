//! Passwords: argon2id in PHC form (RFC 9106), with the least that OWASP asks for: 19 MiB, two
//! passes, one lane. What is hashed is the NFKC form, so that every keyboard types the same.

use std::{collections::HashSet, sync::LazyLock};

use argon2::{
    Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version, password_hash::phc,
};
use serde::Deserialize;
use unicode_normalization::UnicodeNormalization;
use utoipa::ToSchema;

use super::Email;
use crate::{
    clock::Chance,
    error::{Error, Result},
};

/// The 3,000 commonest passwords, in small letters.
static COMMON: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    include_str!("../../assets/passwords/common.txt")
        .lines()
        .collect()
});

/// A password somebody chooses: 8 to 128 characters, and none of the commonest.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, format = Password, min_length = 8, max_length = 128)]
pub struct NewPassword(String);

impl TryFrom<String> for NewPassword {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let normal: String = text.nfkc().take(129).collect();
        if !(8..=128).contains(&normal.chars().count()) {
            return Err("must be 8 to 128 characters".to_owned());
        }
        if COMMON.contains(normal.to_lowercase().as_str()) {
            return Err("is among the commonest passwords; choose another".to_owned());
        }
        Ok(NewPassword(normal))
    }
}

/// Shorter local parts stand in too many good passwords by accident.
const SHORTEST_LOCAL_PART: usize = 3;

impl NewPassword {
    /// Refuses a password that contains the own address.
    pub fn check_against(&self, email: &Email, field: &str) -> Result<()> {
        let local = email.local_part();
        let contains = self.0.to_lowercase().contains(local);
        if local.chars().count() >= SHORTEST_LOCAL_PART && contains {
            return Err(Error::field(
                field,
                "too-weak",
                "must not contain what stands before the `@` of your mail address",
            ));
        }
        Ok(())
    }

    /// Takes tens of milliseconds: run it on the pool for hashing.
    pub fn hash(&self, chance: &Chance) -> Result<PasswordHash> {
        hash(&self.0, &chance.bytes())
    }
}

/// A password somebody claims: whatever was typed.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, format = Password, max_length = 128)]
pub struct TypedPassword(String);

impl TryFrom<String> for TypedPassword {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let normal: String = text.nfkc().take(129).collect();
        if normal.chars().count() <= 128 {
            Ok(TypedPassword(normal))
        } else {
            Err("must be at most 128 characters".to_owned())
        }
    }
}

/// A password's hash in PHC form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// As it was stored.
    pub fn stored(text: String) -> Self {
        PasswordHash(text)
    }

    /// A hash that no password fits which anybody knows, until its owner sets one.
    pub fn of_nothing(chance: &Chance) -> Result<Self> {
        hash(&hex::encode(chance.bytes::<32>()), &chance.bytes())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is weaker than what is made today.
    fn is_weak(hash: &phc::PasswordHash) -> bool {
        let Ok(params) = Params::try_from(hash) else {
            return true;
        };
        let today = Params::DEFAULT;
        hash.algorithm.as_str() != "argon2id"
            || params.m_cost() < today.m_cost()
            || params.t_cost() < today.t_cost()
    }
}

/// What checking a claimed password came to.
#[derive(Debug)]
pub(super) enum Verdict {
    Wrong,
    Right,
    /// Right, and here is a hash by today's measure to keep instead.
    RightButWeak(PasswordHash),
}

/// Takes tens of milliseconds: run it on the pool for hashing. With no hash to check against, as
/// much work is done and the answer is `Wrong`.
pub(super) fn verify(
    claimed: &TypedPassword,
    stored: Option<&PasswordHash>,
    chance: &Chance,
) -> Result<Verdict> {
    let Some(stored) = stored else {
        hash(&claimed.0, &[0; 16])?;
        return Ok(Verdict::Wrong);
    };
    let parsed = phc::PasswordHash::new(&stored.0).map_err(|e| Error::internal(e.to_string()))?;
    if argon2()
        .verify_password(claimed.0.as_bytes(), &parsed)
        .is_err()
    {
        return Ok(Verdict::Wrong);
    }
    if PasswordHash::is_weak(&parsed) {
        return Ok(Verdict::RightButWeak(hash(&claimed.0, &chance.bytes())?));
    }
    Ok(Verdict::Right)
}

fn hash(password: &str, salt: &[u8; 16]) -> Result<PasswordHash> {
    argon2()
        .hash_password_with_salt(password.as_bytes(), salt)
        .map(|hash: phc::PasswordHash| PasswordHash(hash.to_string()))
        .map_err(|e| Error::internal(e.to_string()))
}

fn argon2() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::DEFAULT)
}
