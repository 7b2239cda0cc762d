//! Order numbers: short enough to say on the telephone, random enough to guess nothing from.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::core::rng::Rng;

/// Crockford's base 32: no I, L, O, U (<https://www.crockford.com/base32.html>).
const LETTERS: &[u8] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Eight letters, kept without and shown with a hyphen in the middle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderNumber(String);

impl OrderNumber {
    pub(super) fn random(rng: &Rng) -> Self {
        OrderNumber(rng.text(LETTERS, 8))
    }

    pub(super) fn stored(text: String) -> Self {
        OrderNumber(text)
    }

    /// As somebody typed it: small letters, missing hyphens and look-alikes are forgiven.
    pub fn normal(text: &str) -> Self {
        let letters = text.chars().filter(|c| *c != '-' && !c.is_whitespace());
        OrderNumber(
            letters
                .map(|c| match c.to_ascii_uppercase() {
                    'O' => '0',
                    'I' | 'L' => '1',
                    c => c,
                })
                .collect(),
        )
    }

    pub(super) fn as_stored(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OrderNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.split_at_checked(4) {
            Some((head, tail)) => write!(f, "{head}-{tail}"),
            None => f.write_str(&self.0),
        }
    }
}

impl Serialize for OrderNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
