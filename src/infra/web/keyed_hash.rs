//! Hashes that nobody can try out without a secret of the shop: for values with few possibilities, such
//! as IP networks.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::infra::config::Secret;

/// HMAC-SHA256 under keys that are derived from the shop's secrets for one purpose.
#[derive(Clone)]
pub struct KeyedHash {
    keys: Vec<[u8; 32]>,
}

impl KeyedHash {
    /// The first of `secrets` makes new hashes; the others are still recognised, so that a rotation
    /// forgets nothing.
    pub fn new(secrets: &[Secret], purpose: &str) -> KeyedHash {
        let keys = secrets.iter();
        KeyedHash {
            keys: keys
                .map(|secret| hmac(secret.0.as_bytes(), purpose.as_bytes()))
                .collect(),
        }
    }

    /// The hash to store.
    pub fn hash(&self, value: &str) -> [u8; 32] {
        self.hashes(value).next().unwrap_or_default()
    }

    /// The hashes that may have been stored for this value.
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
