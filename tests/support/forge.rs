//! Forges access tokens (RFC 7519) and cursors.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::{Sha256, Sha384, Sha512};

/// Returns a token with these parts, signed with `key` and the header's algorithm, or HS256 if it is unknown.
pub(crate) fn forge(header: &Value, claims: &Value, key: &[u8]) -> String {
    let [header_part, claims_part] =
        [header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string()));
    let text = format!("{header_part}.{claims_part}");
    let signature = match header["alg"].as_str() {
        Some("HS384") => Hmac::<Sha384>::new_from_slice(key)
            .unwrap()
            .chain_update(&text)
            .finalize()
            .into_bytes()
            .to_vec(),
        Some("HS512") => Hmac::<Sha512>::new_from_slice(key)
            .unwrap()
            .chain_update(&text)
            .finalize()
            .into_bytes()
            .to_vec(),
        _ => Hmac::<Sha256>::new_from_slice(key)
            .unwrap()
            .chain_update(&text)
            .finalize()
            .into_bytes()
            .to_vec(),
    };
    format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

/// Returns the claims of a token.
pub(crate) fn claims_of(token: &str) -> Value {
    let claims = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

/// Returns the cursor with changed fields.
pub(crate) fn forge_cursor(cursor: &str, changes: &Value) -> String {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).unwrap();
    let mut inside: Value = serde_json::from_slice(&bytes).unwrap();
    let inside = inside.as_object_mut().unwrap();
    inside.extend(changes.as_object().unwrap().clone());
    BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(inside).unwrap())
}
