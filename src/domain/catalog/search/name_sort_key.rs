//! A number that sorts like a name, so that an index can be kept in about the order of names.
//!
//! The number encodes as many leading letters as fit. Names with the same leading letters have neighbouring
//! keys; their exact order is found by comparing the names.

use std::ops::RangeInclusive;

use crate::core::id::ProductId;

/// The lower bits of a key distinguish names with the same leading letters: up to four million.
const SUFFIX_BITS: u32 = 22;

/// The upper bits encode the leading letters.
const LETTER_BITS: u32 = 63 - SUFFIX_BITS;

const SUFFIX_MASK: i64 = (1 << SUFFIX_BITS) - 1;

/// Returns the preferred sort key of a product with this normalized name.
pub(super) fn key(name_key: &str, product: ProductId) -> i64 {
    let random = product.0.as_u64_pair().1;
    encode(name_key) | (i64::from_ne_bytes(random.to_ne_bytes()) & SUFFIX_MASK)
}

/// Returns the next key to try among those with the same leading letters.
pub(super) fn next(key: i64) -> i64 {
    (key & !SUFFIX_MASK) | ((key + 1) & SUFFIX_MASK)
}

/// Returns the keys of all names with the same leading letters as this key.
pub(super) fn same_letters(key: i64) -> RangeInclusive<i64> {
    (key & !SUFFIX_MASK)..=(key | SUFFIX_MASK)
}

/// Encodes the leading letters, common ones in five bits each. Codes sort like the letters, and the end of
/// the text sorts before all of them.
fn encode(name_key: &str) -> i64 {
    let (mut key, mut left) = (0, LETTER_BITS);
    for letter in name_key.chars() {
        let code = i64::from(u32::from(letter));
        let long_code = |class: i64| (21, (class << 16) | code.min(0xffff));
        let (bits, number) = match letter {
            '\0'..='\u{1f}' => long_code(1),
            ' ' => (5, 2),
            '!'..='/' => long_code(3),
            '0'..='9' => (9, (4 << 4) | (code - 0x30)),
            ':'..='`' => long_code(5),
            'a'..='y' => (5, 6 + code - 0x61),
            _ => long_code(31),
        };
        if bits > left {
            return ((key << left) | (number >> (bits - left))) << SUFFIX_BITS;
        }
        key = (key << bits) | number;
        left -= bits;
        if code >= 0xffff {
            // These characters share a code, so what follows must not affect the order.
            break;
        }
    }
    key << left << SUFFIX_BITS
}
