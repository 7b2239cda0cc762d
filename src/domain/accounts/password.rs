//! Passwords and their hashes: argon2id (RFC 9106) in the PHC string format.
//!
//! The parameters are the minimum that OWASP recommends: 19 MiB of memory, two passes, one lane. Passwords
//! are normalized to NFKC before hashing, so that all keyboards and input methods produce the same bytes.

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
    column::{Cell, Column},
    error::{Error, Result},
    rng::Rng,
};

/// The 3,000 most common passwords, in lower case.
static COMMON_PASSWORDS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
    include_str!("../../../assets/passwords/common.txt")
        .lines()
        .collect()
});

const MIN_LEN: usize = 8;

/// Maximum length in characters. It bounds the work of normalization and hashing.
const MAX_LEN: usize = 128;

/// A password that a user chooses: 8 to 128 characters, and not one of the most common passwords.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, format = Password, min_length = 8, max_length = 128)]
pub struct NewPassword(String);

impl TryFrom<String> for NewPassword {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let normalized = normalize(&text);
        if !(MIN_LEN..=MAX_LEN).contains(&normalized.chars().count()) {
            return Err(format!("must be {MIN_LEN} to {MAX_LEN} characters"));
        }
        if COMMON_PASSWORDS.contains(normalized.to_lowercase().as_str()) {
            return Err("is one of the most common passwords; choose another".to_owned());
        }
        Ok(NewPassword(normalized))
    }
}

/// Shorter local parts occur in many good passwords by accident.
const MIN_LOCAL_PART_LEN: usize = 3;

impl NewPassword {
    /// Checks that the password does not contain the local part of the user's email address.
    ///
    /// Errors: field error `too-weak`.
    pub fn check_against(&self, email: &Email, field: &str) -> Result<()> {
        let local = email.local_part();
        let contains = email::fold_case(&self.0).contains(local);
        if local.chars().count() >= MIN_LOCAL_PART_LEN && contains {
            return Err(Error::field(
                field,
                "too-weak",
                "must not contain the part of your email address before the `@`",
            ));
        }
        Ok(())
    }

    /// Hashes the password. Takes tens of milliseconds: run it on the hash pool.
    pub fn hash(&self, memory: &mut HashMemory, rng: &Rng) -> Result<PasswordHash> {
        hash(&self.0, &rng.bytes(), memory)
    }
}

/// A password that a user submits as proof of identity. It need not meet the rules for new passwords.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, format = Password, max_length = 128)]
pub struct SubmittedPassword(String);

impl TryFrom<String> for SubmittedPassword {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let normalized = normalize(&text);
        if normalized.chars().count() <= MAX_LEN {
            Ok(SubmittedPassword(normalized))
        } else {
            Err(format!("must be at most {MAX_LEN} characters"))
        }
    }
}

/// Normalizes a password to NFKC, up to one character more than is allowed.
fn normalize(text: &str) -> String {
    text.nfkc().take(MAX_LEN + 1).collect()
}

/// The hash of a password in the PHC string format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Wraps a hash from the database.
    pub fn stored(text: String) -> Self {
        PasswordHash(text)
    }

    /// Returns the hash of a random password that nobody knows, for an account whose owner has yet to set
    /// one.
    pub fn unusable(memory: &mut HashMemory, rng: &Rng) -> Result<Self> {
        let password = hex::encode(rng.bytes::<32>());
        hash(&password, &rng.bytes(), memory)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether this is the hash of the password. Takes tens of milliseconds: run it on the hash pool.
    pub fn matches(&self, password: &NewPassword, memory: &mut HashMemory) -> bool {
        let parsed = phc::PasswordHash::new(&self.0).ok();
        parsed.is_some_and(|hash| is_hash_of(&password.0, &hash, memory).unwrap_or(false))
    }

    /// Whether the parameters of the hash are weaker than the current ones.
    fn needs_rehash(hash: &phc::PasswordHash) -> bool {
        let Ok(params) = Params::try_from(hash) else {
            return true;
        };
        let current = Params::DEFAULT;
        hash.algorithm.as_str() != "argon2id"
            || params.m_cost() < current.m_cost()
            || params.t_cost() < current.t_cost()
    }
}

impl<'a> Column<'a> for PasswordHash {
    fn from_cell(cell: Cell<'a>) -> Option<Self> {
        String::from_cell(cell).map(PasswordHash::stored)
    }
}

/// The result of verifying a password.
#[derive(Debug)]
pub(super) enum Verification {
    Wrong,
    Correct,
    /// The password is correct, but its hash is outdated; store this one instead.
    CorrectWithRehash(PasswordHash),
}

/// Verifies a password against a stored hash. Takes tens of milliseconds: run it on the hash pool.
///
/// Without a stored hash it does the same work and returns `Wrong`, so that the time does not reveal
/// whether an account exists.
pub(super) fn verify(
    submitted: &SubmittedPassword,
    stored: Option<&PasswordHash>,
    memory: &mut HashMemory,
    rng: &Rng,
) -> Result<Verification> {
    let Some(stored) = stored else {
        hash(&submitted.0, &[0; 16], memory)?;
        return Ok(Verification::Wrong);
    };
    let parsed = phc::PasswordHash::new(&stored.0).map_err(|e| Error::internal(e.to_string()))?;
    if !is_hash_of(&submitted.0, &parsed, memory).unwrap_or(false) {
        return Ok(Verification::Wrong);
    }
    if PasswordHash::needs_rehash(&parsed) {
        let rehashed = hash(&submitted.0, &rng.bytes(), memory)?;
        return Ok(Verification::CorrectWithRehash(rehashed));
    }
    Ok(Verification::Correct)
}

/// The working memory of one hashing slot: 19 MiB, allocated by the first hash and reused by later ones.
pub type HashMemory = Vec<Block>;

/// Returns how many passwords may be hashed concurrently. Each slot occupies a core and keeps its memory, so
/// there are at most two.
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

/// Hashes the password with the parameters of the stored hash and compares the two in constant time.
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
    let needed = argon2.params().block_count();
    let slot_size = Params::DEFAULT.block_count();
    let mut larger = Vec::new();
    // An imported hash may need more memory than a slot keeps.
    let blocks = if needed > slot_size {
        &mut larger
    } else {
        memory
    };
    if blocks.len() < needed {
        blocks.resize(needed.max(slot_size), Block::default());
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
