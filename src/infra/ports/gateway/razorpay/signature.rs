//! `X-Razorpay-Signature`: the hex HMAC-SHA256 of the raw body keyed with the webhook secret
//! (<https://razorpay.com/docs/webhooks/validate-test/>).

use hmac::{Hmac, KeyInit, Mac};
use secrecy::ExposeSecret;
use sha2::Sha256;

use crate::infra::config::Secret;

/// Returns the signature of `body` in lower case.
pub fn sign(secret: &Secret, body: &[u8]) -> String {
    hex::encode(mac(secret, body).finalize().into_bytes())
}

/// Returns whether a header's value has the form of a signature: 32 bytes in hex.
pub fn is_well_formed(signature: &[u8]) -> bool {
    hex::decode_to_slice(signature, &mut [0; 32]).is_ok()
}

/// Returns whether any of the secrets signed exactly these bytes. Compares in constant time.
pub fn is_valid(secrets: &[Secret], body: &[u8], signature: &[u8]) -> bool {
    let mut bytes = [0; 32];
    if hex::decode_to_slice(signature, &mut bytes).is_err() {
        return false;
    }
    secrets
        .iter()
        .any(|secret| mac(secret, body).verify_slice(&bytes).is_ok())
}

fn mac(secret: &Secret, body: &[u8]) -> Hmac<Sha256> {
    #[expect(
        clippy::expect_used,
        reason = "HMAC takes keys of every length (RFC 2104)"
    )]
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).expect("any key length");
    mac.update(body);
    mac
}
