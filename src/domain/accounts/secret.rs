//! Opaque random tokens and the digests under which they are stored.

use sha2::{Digest, Sha256};

use crate::infra::db::Tx;

/// Generates 256 random bits in hexadecimal.
pub(super) fn generate(tx: &Tx<'_>) -> String {
    hex::encode(tx.rng().bytes::<32>())
}

/// Returns the SHA-256 digest of a text.
pub(super) fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}
