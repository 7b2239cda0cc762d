//! Order numbers: short enough to read out on the phone, random enough not to be guessed.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::core::{
    column::{Cell, Column, Value},
    rng::Rng,
};

/// Crockford's base 32: no I, L, O, U (<https://www.crockford.com/base32.html>).
const ALPHABET: &[u8] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Eight characters, unless a user typed it; stored without a hyphen, displayed with one in the middle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderNumber(String);

impl OrderNumber {
    pub(super) fn random(rng: &Rng) -> Self {
        OrderNumber(rng.text(ALPHABET, 8))
    }

    /// Normalizes typed input: ignores case, hyphens and spaces, and maps look-alikes (O, I, L) to digits.
    pub fn normalize(text: &str) -> Self {
        let characters = text.chars().filter(|c| *c != '-' && !c.is_whitespace());
        OrderNumber(
            characters
                .map(|c| match c.to_ascii_uppercase() {
                    'O' => '0',
                    'I' | 'L' => '1',
                    c => c,
                })
                .collect(),
        )
    }
}

impl<'a> Column<'a> for OrderNumber {
    fn from_cell(cell: Cell<'a>) -> Option<Self> {
        String::from_cell(cell).map(OrderNumber)
    }
}

impl<'a> From<&'a OrderNumber> for Value<'a> {
    fn from(number: &'a OrderNumber) -> Self {
        Value::Text(&number.0)
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
