//! Keyed hashes (HMAC), for values such as IP networks that could be recovered from a plain hash by trying
//! them all.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::ExposeSecret;
use sha2::Sha256;

use crate::infra::config::Secret;

/// HMAC-SHA256 with keys derived from the configured secrets for one purpose.
#[derive(Clone)]
pub struct KeyedHash {
    keys: Vec<[u8; 32]>,
}

impl KeyedHash {
    /// The first of `secrets` creates new hashes. Hashes by the others still match, so that rotating a secret
    /// loses nothing.
    pub fn new(secrets: &[Secret], purpose: &str) -> KeyedHash {
        let keys = secrets.iter();
        KeyedHash {
            keys: keys
                .map(|secret| hmac(secret.expose_secret().as_bytes(), purpose.as_bytes()))
                .collect(),
        }
    }

    /// Returns the hash to store.
    pub fn hash(&self, value: &str) -> [u8; 32] {
        self.hashes(value).next().unwrap_or_default()
    }

    /// Returns the hash of `value` by each secret, any of which may have been stored.
    pub fn hashes<'a>(&'a self, value: &'a str) -> impl Iterator<Item = [u8; 32]> + 'a {
        self.keys.iter().map(|key| hmac(key, value.as_bytes()))
    }
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    #[expect(
        clippy::expect_used,
        reason = "HMAC takes keys of every length (RFC 2104)"
    )]
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("any key length");
    mac.chain_update(message).finalize().into_bytes().into()
}
