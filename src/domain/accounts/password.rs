//! Passwords: argon2id in PHC form (RFC 9106), with the least that OWASP asks for: 19 MiB, two
//! passes, one lane. What is hashed is the NFKC form, so that every keyboard types the same.

use std::{collections::HashSet, sync::LazyLock};

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::{self, phc},
};
use serde::Deserialize;
use unicode_normalization::UnicodeNormalization;
use utoipa::ToSchema;

use super::email::{self, Email};
use crate::core::{
    error::{Error, Result},
    rng::Rng,
};

/// The 3,000 commonest passwords, in small letters.
static COMMON: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    include_str!("../../../assets/passwords/common.txt")
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
        let contains = email::fold(&self.0).contains(local);
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
    pub fn hash(&self, memory: &mut HashMemory, rng: &Rng) -> Result<PasswordHash> {
        hash(&self.0, &rng.bytes(), memory)
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
    pub fn of_nothing(memory: &mut HashMemory, rng: &Rng) -> Result<Self> {
        let unknown = hex::encode(rng.bytes::<32>());
        hash(&unknown, &rng.bytes(), memory)
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
    memory: &mut HashMemory,
    rng: &Rng,
) -> Result<Verdict> {
    let Some(stored) = stored else {
        hash(&claimed.0, &[0; 16], memory)?;
        return Ok(Verdict::Wrong);
    };
    let parsed = phc::PasswordHash::new(&stored.0).map_err(|e| Error::internal(e.to_string()))?;
    if !is_hash_of(&claimed.0, &parsed, memory).unwrap_or(false) {
        return Ok(Verdict::Wrong);
    }
    if PasswordHash::is_weak(&parsed) {
        let stronger = hash(&claimed.0, &rng.bytes(), memory)?;
        return Ok(Verdict::RightButWeak(stronger));
    }
    Ok(Verdict::Right)
}

/// Working memory of one hashing slot: 19 MiB, allocated by the first hash and reused by the next.
pub type HashMemory = Vec<Block>;

/// How many passwords are hashed at once. Each slot takes a core and keeps its memory, so there are at
/// most two, also on a large machine.
pub fn hashing_slots(cores: usize) -> usize {
    cores.div_ceil(2).min(2)
}

fn hash(password: &str, salt: &[u8; 16], memory: &mut HashMemory) -> Result<PasswordHash> {
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::DEFAULT);
    let mut phc = || -> password_hash::Result<phc::PasswordHash> {
        let length = Params::DEFAULT_OUTPUT_LEN;
        Ok(phc::PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: argon2.params().try_into()?,
            salt: Some(phc::Salt::new(salt)?),
            hash: Some(output(&argon2, password, salt, length, memory)?),
        })
    };
    phc()
        .map(|hash| PasswordHash(hash.to_string()))
        .map_err(|e| Error::internal(e.to_string()))
}

/// Hashes the password as the stored hash was made, and compares the two in constant time.
fn is_hash_of(
    password: &str,
    stored: &phc::PasswordHash,
    memory: &mut HashMemory,
) -> password_hash::Result<bool> {
    let (Some(salt), Some(expected)) = (&stored.salt, &stored.hash) else {
        return Ok(false);
    };
    let algorithm = Algorithm::try_from(stored.algorithm.as_str())?;
    let version = stored.version.map(Version::try_from).transpose()?;
    let params = Params::try_from(stored)?;
    let argon2 = Argon2::new(algorithm, version.unwrap_or_default(), params);
    Ok(output(&argon2, password, salt, expected.len(), memory)? == *expected)
}

fn output(
    argon2: &Argon2<'_>,
    password: &str,
    salt: &[u8],
    length: usize,
    memory: &mut HashMemory,
) -> password_hash::Result<phc::Output> {
    let (needed, kept) = (argon2.params().block_count(), Params::DEFAULT.block_count());
    let mut larger = Vec::new();
    // A hash made elsewhere may need more memory than a slot keeps.
    let blocks = if needed > kept { &mut larger } else { memory };
    if blocks.len() < needed {
        blocks.resize(needed.max(kept), Block::default());
    }
    let mut buffer = [0; phc::Output::MAX_LENGTH];
    let output = buffer
        .get_mut(..length)
        .ok_or(password_hash::Error::OutputSize)?;
    argon2.hash_password_into_with_memory(
        password.as_bytes(),
        salt,
        output,
        &mut blocks[..needed],
    )?;
    Ok(phc::Output::new(output)?)
}
